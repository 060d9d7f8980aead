"""Protocols, figures with their intervals, and what they mean."""
