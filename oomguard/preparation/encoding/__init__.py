"""Text to tokens by a small library of our own (core/README.md), which nothing makes grow."""
