"""Labelled Korean utterances from any source, checked, split and tokenized."""
