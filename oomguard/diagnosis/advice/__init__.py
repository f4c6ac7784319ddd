"""What to do about a kill; pure."""
