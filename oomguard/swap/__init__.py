"""`oomguard swap`: more memory for a while."""
