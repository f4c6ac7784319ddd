"""The only package that opens /proc, /sys and /dev, spawns processes and sends signals."""
