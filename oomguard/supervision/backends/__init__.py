"""Who holds a job to its budget: cgroup, systemd scope, polling."""
