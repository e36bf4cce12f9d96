"""Small real data sets for examples and tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def _read(name: str) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(Path(__file__).with_name(name))


def radon() -> pd.DataFrame:
    """Radon in 919 homes of 85 Minnesota counties.

    Returns
    -------
    DataFrame
        ``county``; ``floor`` (0 basement, 1 first floor); ``log_radon``, the natural log of pCi/L;
        ``log_uranium``, the natural log of the county's soil uranium in ppm.

    References
    ----------
    Gelman & Hill (2006), *Data Analysis Using Regression and Multilevel/Hierarchical Models*;
    through posteriordb (BSD-3).

    Examples
    --------
    >>> radon().shape
    (919, 4)
    """
    return _read("radon_mn.csv")


def eight_schools() -> pd.DataFrame:
    """Effect of coaching in eight schools with standard errors.

    Returns
    -------
    DataFrame
        ``school``, ``effect`` and ``se`` (points of the SAT-V test).

    References
    ----------
    Rubin (1981); Gelman et al., *Bayesian Data Analysis* (3rd ed.) §5.5; through posteriordb
    (BSD-3).

    Examples
    --------
    >>> eight_schools()["effect"].tolist()
    [28, 8, -3, 7, -1, 1, 18, 12]
    """
    return _read("eight_schools.csv")


def individuals() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Five trials of each of 75 simulated individuals, and the truth about them.

    Every individual has an intercept, from a normal distribution of mean 2 and sd 1, and a
    coefficient of ``x``, from one of mean −2 and sd 1; ``y`` scatters around their line with
    sd 2, and ``x`` is standard normal.

    Returns
    -------
    data : DataFrame
        ``id``, ``trial``, ``x`` and ``y``: a row a trial.
    truth : DataFrame
        ``id``, ``Intercept`` and ``x``: the true coefficients of each individual.

    Examples
    --------
    >>> data, truth = individuals()
    >>> data.shape, truth.shape
    ((375, 4), (75, 3))
    """
    return _read("individuals.csv"), _read("individuals_truth.csv")
