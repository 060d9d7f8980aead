"""What is learned from: sound, archives, tables, and what their labels say."""
