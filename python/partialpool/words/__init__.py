"""Words: what parameters mean, and how results are shown."""
