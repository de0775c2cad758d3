"""Hyper-parameters, tuned on validation data."""
