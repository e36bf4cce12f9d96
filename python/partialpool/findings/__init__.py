"""Findings: what to know before trusting a fit, told from data, draws and priors."""
