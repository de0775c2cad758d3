"""From a trained model to a smaller one, by what it says of texts that nobody labelled."""
