"""`oomguard run`, budget(), and the budget of every other command: one supervisor."""
