"""Facts of a machine to judgements; pure."""
