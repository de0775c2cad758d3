"""Pre-training of small encoders in KLUE's layout from plain text: corpus, objectives, loop."""
