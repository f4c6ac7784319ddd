"""`oomguard plan`: tokens, disk, memory and time of a job, measured on parts of its input."""
