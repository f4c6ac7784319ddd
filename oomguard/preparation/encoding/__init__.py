"""Text to token ids: encodings, safe cuts, the verifier."""
