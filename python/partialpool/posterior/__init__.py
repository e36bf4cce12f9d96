"""The posterior: Fit with its summaries, findings, draws and file; Estimate without priors."""

from partialpool.posterior.estimate import Estimate
from partialpool.posterior.findings import Finding
from partialpool.posterior.fit import Fit, Provenance

__all__ = ["Estimate", "Finding", "Fit", "Provenance"]
