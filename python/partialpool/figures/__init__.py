"""Figures of a fit: a posterior is made into arrays, which `plots/` draws."""
