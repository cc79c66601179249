"""Worlds: what can be seen and done. No learning in here."""
