"""A table in batches of rows, whose columns mean what they mean in the whole table."""
