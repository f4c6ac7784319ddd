"""The only package that opens /proc and /sys and talks to the kernel."""
