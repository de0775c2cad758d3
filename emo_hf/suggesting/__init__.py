"""What to label next: rows of a pool, picked by what a model makes of them, and a page on which to label them."""
