"""Scores, and what can be said of their differences."""
