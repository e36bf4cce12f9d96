"""The shrinkage figure: the estimates of every level, one panel a pooling."""
