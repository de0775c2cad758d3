"""A package, so that its conftest does not stand in the way of `from conftest import …` elsewhere."""
