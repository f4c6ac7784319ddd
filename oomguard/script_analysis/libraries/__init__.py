"""What is known of Python's own functions and of the usual libraries."""
