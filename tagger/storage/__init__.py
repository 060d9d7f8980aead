"""How a file of the user's gets new bytes without ever being lost."""
