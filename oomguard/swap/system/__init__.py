"""The machine's side of swap: areas, files, fstab, records."""
