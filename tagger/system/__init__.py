"""What needs nothing of music: errors, folders, the screen, logs, Ctrl-C."""
