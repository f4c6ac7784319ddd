"""A program on growing beginnings of its input, and what all of it will need."""
