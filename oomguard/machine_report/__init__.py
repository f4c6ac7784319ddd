"""`oomguard doctor`: what this machine would do to a big job."""
