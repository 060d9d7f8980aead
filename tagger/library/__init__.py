"""Which files are tracks."""
