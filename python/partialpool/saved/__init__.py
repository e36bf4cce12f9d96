"""Saved: posteriors in files, and back."""
