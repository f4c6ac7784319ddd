"""The files of a memory cgroup."""
