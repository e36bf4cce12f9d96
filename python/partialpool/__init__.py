"""partialpool: Bayesian hierarchical regression, exact, fast and in plain words.

The public names; heavy modules are imported where they are used.
"""

from partialpool import starting as _starting  # noqa: F401, before what takes time

# isort: split

from partialpool import datasets
from partialpool.api import compare, default_priors, fit, prior_predictive
from partialpool.data import read
from partialpool.errors import (
    EngineError,
    FindingWarning,
    InputError,
    NotYetError,
    PartialPoolError,
)
from partialpool.finding import Finding
from partialpool.metropolis import MetropolisRun, metropolis
from partialpool.posterior.estimate import Estimate
from partialpool.posterior.fit import Fit, load
from partialpool.priors.distributions import (
    LKJ,
    Cauchy,
    Exponential,
    ExponentialAtMean,
    Flat,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    LKJAtMean,
    LogNormal,
    Normal,
    NormalAtMean,
    StudentT,
    Uniform,
)
from partialpool.scores.ranking import compare_fits
from partialpool.simulate import Simulated, simulate
from partialpool.tables.side_by_side import table
from partialpool.tables.table import Table
from partialpool.version import __version__

__all__ = [
    "LKJ",
    "Cauchy",
    "EngineError",
    "Estimate",
    "Exponential",
    "ExponentialAtMean",
    "Finding",
    "FindingWarning",
    "Fit",
    "Flat",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "InputError",
    "InverseGamma",
    "LKJAtMean",
    "LogNormal",
    "MetropolisRun",
    "Normal",
    "NormalAtMean",
    "NotYetError",
    "PartialPoolError",
    "Simulated",
    "StudentT",
    "Table",
    "Uniform",
    "__version__",
    "compare",
    "compare_fits",
    "datasets",
    "default_priors",
    "fit",
    "load",
    "metropolis",
    "prior_predictive",
    "read",
    "simulate",
    "table",
]
