"""Tables and pictures of a study, from its run records alone: nothing here needs torch or transformers."""
