"""Prior distributions: what a user writes, what the core samples, and how it reads."""

from .distributions import (
    LKJ,
    PRIORS,
    AtMean,
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
from .prior import Kernel, Prior
from .text import parse_prior

__all__ = [
    "LKJ",
    "PRIORS",
    "AtMean",
    "Cauchy",
    "Exponential",
    "ExponentialAtMean",
    "Flat",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "InverseGamma",
    "Kernel",
    "LKJAtMean",
    "LogNormal",
    "Normal",
    "NormalAtMean",
    "Prior",
    "StudentT",
    "Uniform",
    "parse_prior",
]
