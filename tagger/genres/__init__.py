"""What genres are called: the vocabulary, words that mean none, what players read."""
