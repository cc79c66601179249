"""The procedural world that stands in for the paper's game."""
