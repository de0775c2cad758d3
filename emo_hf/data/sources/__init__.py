"""Files of every kind, and what AI Hub's look like."""
