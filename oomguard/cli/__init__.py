"""Typer only: flags in, one call, the result shown."""
