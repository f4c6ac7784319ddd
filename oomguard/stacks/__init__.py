"""Python stacks of other processes, and the source lines they name."""
