"""A trained model at work: predictions, neighbours, the demo's answer."""
