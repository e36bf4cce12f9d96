"""Answers: what users ask of a posterior, one question a file."""
