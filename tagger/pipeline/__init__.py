"""The road of a track, and what takes many tracks down it."""
