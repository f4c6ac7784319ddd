"""Facts to decisions: limits, choice of backend, advice; pure."""
