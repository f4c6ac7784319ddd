"""Facts to decisions; pure."""
