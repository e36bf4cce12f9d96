"""Tables whose rows lie with the workers of a cluster: Spark, Dask."""

from .opened import opened, spread_of
from .spark import SparkReader, is_spark
from .spread import Join, Spread, at_work

__all__ = ["Join", "SparkReader", "Spread", "at_work", "is_spark", "opened", "spread_of"]
