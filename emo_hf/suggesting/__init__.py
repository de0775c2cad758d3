"""What to label next: rows of a pool without labels, picked by what a model makes of them, and a page to label them."""
