"""gtag listens to music files and writes genre and confidence into their tags."""
