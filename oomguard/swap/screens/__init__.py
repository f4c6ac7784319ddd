"""What people see of swap."""
