"""What /proc tells of processes: their tree, their memory, their open files."""
