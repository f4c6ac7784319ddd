"""Facts about places and machines to plans and refusals; pure."""
