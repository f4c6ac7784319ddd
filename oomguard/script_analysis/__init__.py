"""`oomguard check`: what in a script holds memory that grows with its input."""
