"""Marginal effects: average predictions, contrasts and slopes of one predictor."""
