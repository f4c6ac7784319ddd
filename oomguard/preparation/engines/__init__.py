"""Who does the work of a run, and in how much memory."""
