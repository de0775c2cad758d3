"""What train.py and compare.py show while they work; nothing of it has a part in a result."""
