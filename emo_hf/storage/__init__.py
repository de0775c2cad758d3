"""Whole files, one process a folder, the record of a run."""
