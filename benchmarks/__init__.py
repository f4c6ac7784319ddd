"""Benchmarks of oomguard: how fast, in how much memory, and does it survive. See README.md here."""
