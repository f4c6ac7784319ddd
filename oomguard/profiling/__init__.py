"""`oomguard profile`: what a program needs at its peak, and where it grew."""
