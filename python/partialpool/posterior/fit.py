"""Fit: what users hold of a posterior, a list of what can be asked of it."""

from __future__ import annotations

import os
from typing import Any, Unpack

from partialpool.answers.arviz import to_arviz
from partialpool.answers.check import check
from partialpool.answers.fitted import fitted
from partialpool.answers.predict import posterior_predictive, predict
from partialpool.answers.residuals import residuals
from partialpool.answers.sensitivity import sensitivity
from partialpool.answers.tidy import tidy
from partialpool.answers.variance import variance
from partialpool.draws.posterior import Posterior
from partialpool.effects.effects import effects
from partialpool.errors import InputError
from partialpool.figures.fit import FitPlots
from partialpool.hypotheses.hypothesis import hypothesis
from partialpool.posterior.again import UNCHANGED, Changes, Earlier, asked_again
from partialpool.report.report import report
from partialpool.saved.file import read, save
from partialpool.scores.kfold import kfold
from partialpool.scores.loo import Loo, loo
from partialpool.taking import changes
from partialpool.words.fit import fit_page
from partialpool.words.page import Answer, Page


class Fit(Posterior, Answer):
    """The posterior of a hierarchical model.

    Print it, or call :meth:`summary`, :meth:`coefficients`, :attr:`draws`, :attr:`findings`.

    Attributes
    ----------
    model : Model
        Parameters and priors.
    run : Run
        The raw draws and sampler statistics.
    provenance : Provenance
        Data, engine, versions, time.
    findings : list of Finding
        What to know before trusting the fit; empty when all is well.
    design : Design or None
        The rows that were fitted, as the pooling sees them; None in a fit saved without them.
    request : Request or None
        What was asked; None in a fit saved by an earlier version.
    held_out : dict of Loo
        What :meth:`loo` and :meth:`kfold` have computed so far.
    """

    held_out: dict[str, Loo]

    predict = predict
    posterior_predictive = posterior_predictive
    effects = effects
    fitted = fitted
    residuals = residuals
    hypothesis = hypothesis
    variance = variance

    loo = loo
    kfold = kfold
    check = check
    sensitivity = sensitivity

    tidy = tidy
    to_arviz = to_arviz
    save = save
    report = report

    @changes(UNCHANGED, Changes)
    def update(
        self, *, formula: str | None = None, data: Any = None, **options: Unpack[Changes]
    ) -> Fit:
        """Fit again with changes: everything else as it was asked for.

        Parameters
        ----------
        formula : str, optional
            A whole formula, or one that changes that of the fit, in which a dot stands for what it
            has on that side: ``". ~ . + x"``, ``"~ . - (1 | id)"``, ``"log(y) ~ ."``.
        data : DataFrame, dict of arrays, or path, optional
            Other rows; by default those that were fitted, of which only the columns that the fit
            used were kept.
        family, link, sigma, se, weights, offset, exposure, trials, pooling, priors
            As in :func:`partialpool.fit`; None is its default. Priors that are given take the place
            of all that were given before; defaults are computed anew. Without them, earlier ones
            of parameters that the new model does not have are left out, with a finding. A formula
            of sigma may have a dot too.
        method, chains, draws, ess, warmup, seed, interval, proposal_sd, threads, progress, start
            Likewise. A seed that was given stays, so that what is equal stays equal; where none
            was, the new fit has a new one.
        quadrature
            Of ``method="ml"``.

        Returns
        -------
        Fit
            A new one; this one stays as it is.

        Raises
        ------
        InputError
            If the formula uses a column that was not kept and no `data` are given, or those lack
            roles that were given as one value a row; if an earlier version saved the fit, which did
            not keep what was asked of it; and as :func:`partialpool.fit`.

        Examples
        --------
        >>> import partialpool as pp
        >>> fit = pp.fit("log_radon ~ floor + (floor | county)", pp.datasets.radon(), seed=1)
        >>> other = fit.update(formula=". ~ . - (floor | county) + (1 | county)", draws=500)
        >>> other.formula, other.run.draws, other.seed
        ('log_radon ~ floor + (1 | county)', 500, 1)
        """
        earlier = Earlier(self.request, self.design, self.provenance)
        again = asked_again(earlier, formula, data, options)
        if again.how.maximises:
            raise InputError(
                f'`method="{again.how.method}"` gives an estimate, and this is a posterior',
                remedy="use `pp.fit`",
            )
        return again.sampled(Fit)

    @property
    def plot(self) -> FitPlots:
        """Figures of the fit."""
        return FitPlots(self)

    @property
    def page(self) -> Page:
        """What it says."""
        return fit_page(self)


def load(path: str | os.PathLike[str]) -> Fit:
    """Load a fit that :meth:`Fit.save` wrote.

    Parameters
    ----------
    path : path
        The file.

    Raises
    ------
    InputError
        If the file is missing, damaged, or not a fit.
    """
    return read(path, Fit)
