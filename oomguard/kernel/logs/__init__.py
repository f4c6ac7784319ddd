"""The kernel's log and the files that it is kept in."""
