"""What a process asks of Linux: signals, prctl(2), the terminal, its own command."""
