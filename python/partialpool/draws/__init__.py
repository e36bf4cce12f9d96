"""Draws of a posterior: what they say of parameters, rows and priors."""
