"""Decision limits: every number at which something is said, or done otherwise, in one table.

Each is held by a test just inside and just outside of it (`tests/structure/test_limits.py`).
"""

from __future__ import annotations

# --- Draws (Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021) ----------------------------------

R_HAT = 1.01
"""Chains disagree about a parameter above this."""
R_HAT_LEVEL = 1.05
"""The same for coefficients of levels: of hundreds some are above 1.01 by chance."""
R_HAT_UNUSABLE = 1.1
"""Above this the draws should not be used."""
ESS = 400.0
"""Effective draws below this leave means and intervals imprecise."""
DIVERGING_UNUSABLE = 0.1
"""Share of divergent draws above which the draws should not be used."""
DIVERGING_FEW = 0.001
"""Share of divergent draws below which they hardly matter."""
E_BFMI = 0.3
"""Below this the energy moves too slowly (Betancourt 2016)."""
ACCEPTANCE_LOW, ACCEPTANCE_HIGH = 0.05, 0.7
"""Shares of accepted Metropolis proposals outside of which a walk hardly gets anywhere."""
BOUNDS_KEPT = 0.05
"""Share of whole draws within uniform priors below which rejecting the others is hopeless."""

DRAWS = 10_000
"""Draws of each chain beyond which more of them are no remedy: `draws="auto"` ends there."""

# --- What the posterior owes to the prior --------------------------------------------------------

PRIOR_WIDTH, PRIOR_SHIFT = 0.8, 0.25
"""A prior decides where the posterior's quartiles lie further apart than this share of its own,
and the medians less."""
PRIOR_CONFLICT = 4.0
"""Sds of both that prior and data are apart where they disagree."""
CONFLICT_NARROW, CONFLICT_INSIDE = 0.3, 3.0
"""A posterior narrower than this share of its prior, and no further out in it than so many sds, has
no conflict with it."""
ZERO_PART, ZERO_SHARE = 0.1, 0.1
"""An sd piles up at 0 where this share of its draws lies below this part of their 95% quantile:
the half of a normal distribution has 16% there, a density that is 0 at 0 less than 10%."""
ZERO_ROOM = 0.25
"""… and that quantile is below this share of the prior's own."""
POISSON_SHAPE, POISSON_SHARE = 100.0, 0.1
"""At a shape of so many means, the variance m + m²/shape is within 1% of Poisson's; counts do not
visibly scatter more where so many of its draws lie beyond."""

# --- Data ----------------------------------------------------------------------------------------

DROPPED_MANY = 0.1
"""Share of rows with missing values from which leaving them out is a warning."""
LEVELS_FEW = 5
"""Fewer levels say little about how much levels differ."""
CATEGORY_RARE = 5
"""An ordered category with fewer rows says little about where its thresholds are."""
SCALES_APART = 1e4
"""Ratio of the sds of two predictors above which coefficients are hard to read."""
ORIGIN_NEAR = 2.0
"""Sds from 0 to a column's mean beyond which independence there is worth a word."""
FAR_FROM_ZERO = 10.0
"""Sds from 0 to a column's mean beyond which nothing is said about 0."""
PERFECT = 1e-6
"""Residual sd, as a share of that of the response, below which the model fits perfectly."""

# --- What is refused before any work -------------------------------------------------------------

COLUMNS = 2_000
"""More population columns take too long, whatever the number of rows."""
CELLS = 500_000_000
"""Numbers in a matrix: 4 GB."""
CORRELATED, INDEPENDENT = 50, 100
"""Coefficients a level: with k of them, k (k − 1)/2 correlations are estimated, or none."""
CORRELATED_REML = 10
"""Covariances of k coefficients have k (k + 1)/2 numbers, and Newton's steps their squares."""
ELIMINATION, ELIMINATION_SPEED = 1e11, 2e10
"""Operations of one evaluation with several factors, above which NUTS over all parameters is
faster; and how many take a second."""
CATEGORIES = 100
"""More ordered categories have more thresholds than can be estimated."""
LOO_SECONDS = 3600.0
"""Leaving out rows one by one, which takes longer than that, is no longer worth a try."""

ONE_PASS = 5_000_000
"""Rows of a table from which a Gaussian model reads it in one pass and keeps none of them."""

# --- What is done in another way where that pays --------------------------------------------------

MERGED = 0.5
"""Rows that differ in their responses alone become one where no more than this share is left."""

# --- Checks and scores ---------------------------------------------------------------------------

P_LOW, P_HIGH = 0.01, 0.99
"""Predictive p-values outside of these count as a failure to make the data."""
REPLICATES = 100
"""Fewer replicated data sets are too few to judge by."""
DISPERSED_RATIO = 1.1
"""Dispersion below which a fit keeps silent: intervals are less than 5% too narrow."""
RESIDUALS_UNIFORM = 0.05
"""Chance of residuals as far from those of the model, if it held with parameters that are known.
Fitted ones are nearer: none of 420 data sets that the models made were below it."""
OUTLIER = 0.01
"""Chance that any of the rows has a residual so far out; in made data sets 0.7% had."""
PARETO_K = 0.7
"""Above this a few draws have most of the weight (Vehtari et al. 2024)."""
APPROXIMATE_K = 0.5
"""Up to this an approximate posterior is good (Yao, Vehtari, Simpson & Gelman 2018); above
`PARETO_K` it is not."""
APPROXIMATE_EFFECTIVE = 0.95
"""Share of effective draws above which its weights are nearly equal, whatever their tail."""
APPROXIMATE_SHIFT = 0.25
"""Posterior sds by which it may miss the mean of a parameter."""
APPROXIMATE_LEVELS = 0.25
"""Sds by which it may miss the means of levels, in the root mean square."""
APPROXIMATE_WIDENING = 0.12
"""Logarithm of the factor by which it may miss the sd of a parameter, or those of levels on the
average: as much as it misses with twenty rows a level, and half of what users would notice."""
ROUGH_INTEGRAL = 0.25
"""Standard errors by which Laplace's formula, or few nodes, may miss the maximum."""
CLEAR_ERRORS, CLEAR_UNITS = 2.0, 4.0
"""Differences of held-out scores of fewer standard errors may be chance; so may those of fewer
units, whatever their error says (Sivula, Magnusson & Vehtari 2020)."""
SENSITIVE = 0.05
"""A sensitivity from which an estimate hangs on its prior (Kallioinen et al. 2023)."""
