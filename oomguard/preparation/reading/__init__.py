"""Corpora in: one module for each input format."""
