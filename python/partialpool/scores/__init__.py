"""Held-out scores: how well fits predict what they have not seen."""
