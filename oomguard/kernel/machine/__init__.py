"""The machine as a whole: its room, its CPUs, the container around us."""
