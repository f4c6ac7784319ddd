"""Token ids out: shards, manifest, validation split."""
