"""Goes through a Python script without running it: what is Python, and nothing of any library."""
