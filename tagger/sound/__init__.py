"""Sound: decoding, and the front ends that compute features."""
