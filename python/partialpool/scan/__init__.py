"""A big table, read in one pass → the design of rows that stand for many."""
