"""Files, file systems and disks."""
