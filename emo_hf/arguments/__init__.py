"""What a run can be told, and how it is read."""
