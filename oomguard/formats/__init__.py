"""Text or bytes to dataclasses; pure."""
