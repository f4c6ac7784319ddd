"""Output formats: one module each, and one table (`table.py`) that lists them."""
