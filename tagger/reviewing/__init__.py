"""The questions and answers of a review."""
