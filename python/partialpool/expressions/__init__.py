"""Checked expressions + columns → numbers, or categories, one a row."""
