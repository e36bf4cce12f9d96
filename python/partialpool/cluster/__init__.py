"""Tables whose rows lie with the workers of a cluster: Spark, Dask."""

from .opened import opened, spread_of
from .spread import Join, Spread

__all__ = ["Join", "Spread", "opened", "spread_of"]
