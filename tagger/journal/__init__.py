"""What was there before each write, and how it comes back."""
