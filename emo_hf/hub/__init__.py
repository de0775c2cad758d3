"""From a run's folder to the Hub: the check before training, the card, the push."""
