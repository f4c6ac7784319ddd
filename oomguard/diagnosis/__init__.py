"""`oomguard diagnose`: what killed it, whose limit, who filled it, what to do."""
