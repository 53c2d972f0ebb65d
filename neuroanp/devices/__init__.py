"""The laws of one device: what a write leaves, how it drifts, what a read sees."""
