"""The model, and encoders to build it on."""
