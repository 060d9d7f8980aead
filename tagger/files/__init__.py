"""Files: which ones are tracks, what they hold, and how one takes the place of another."""
