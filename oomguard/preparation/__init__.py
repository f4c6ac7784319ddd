"""A corpus to shards: sources, safe cuts, encoders, writers, the manifest."""
