"""What turns a heard track into a prediction: one `Classifier` protocol, several kinds."""
