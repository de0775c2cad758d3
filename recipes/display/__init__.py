"""What the recipes show while they work and when they end; nothing of it has a part in a result."""
