"""A real game in a window of its own: find it, see it, hold its pad, and tell the truth about time."""
