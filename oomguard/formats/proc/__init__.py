"""The files of /proc/PID."""
