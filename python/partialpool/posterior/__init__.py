"""The posterior: Fit with its summaries, findings, draws and file."""

from partialpool.posterior.findings import Finding
from partialpool.posterior.fit import Fit, Provenance

__all__ = ["Finding", "Fit", "Provenance"]
