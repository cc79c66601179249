"""The designer's seat: a page on which a person says which of an agent's trajectories are better."""
