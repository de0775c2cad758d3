"""One run: from arguments to a trained model and its record."""
