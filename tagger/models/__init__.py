"""Models: one `Classifier` protocol, several kinds."""
