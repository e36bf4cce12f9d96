"""Rows → predictions with their uncertainty, in memory or from file to file."""
