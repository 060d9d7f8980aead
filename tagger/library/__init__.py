"""Which files are tracks, and when a new one is complete."""
