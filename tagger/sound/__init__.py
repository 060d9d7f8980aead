"""Sound: decoded, and as models look at it."""
