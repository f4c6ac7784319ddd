"""`oomguard hook`: a line at the shell's prompt after a command that was killed. One script for each shell."""
