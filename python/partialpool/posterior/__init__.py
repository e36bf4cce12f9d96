"""What users hold: a fit, an estimate, a comparison of poolings."""

from partialpool.draws.posterior import Provenance
from partialpool.finding import Finding
from partialpool.posterior.estimate import Estimate
from partialpool.posterior.fit import Fit

__all__ = ["Estimate", "Finding", "Fit", "Provenance"]
