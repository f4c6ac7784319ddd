"""Where CPython keeps its frames, and where ELF files keep CPython."""
