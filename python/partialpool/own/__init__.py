"""Columns of a predictor → own parts of its terms, which no origin, unit or coding changes."""
