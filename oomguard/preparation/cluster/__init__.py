"""One job on many machines: units that are planned once, encoded anywhere, and laid out as on one machine."""
