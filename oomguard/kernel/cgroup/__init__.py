"""Memory cgroups, version 1 and 2: find, make, limit, freeze, remove."""
