"""Hypotheses: what draws say of arithmetic over parameters, and of comparisons of it."""
