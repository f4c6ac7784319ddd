"""The file that a profile is recorded in: its lines, written and read."""
