"""Fit: what users hold of a posterior, a list of what can be asked of it."""

from __future__ import annotations

import os

from partialpool.answers.arviz import to_arviz
from partialpool.answers.check import check
from partialpool.answers.predict import posterior_predictive, predict
from partialpool.answers.sensitivity import sensitivity
from partialpool.draws.posterior import Posterior
from partialpool.effects.effects import effects
from partialpool.figures.fit import FitPlots
from partialpool.report.report import report
from partialpool.saved.file import read, save
from partialpool.scores.kfold import kfold
from partialpool.scores.loo import Loo, loo
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
    held_out : dict of Loo
        What :meth:`loo` and :meth:`kfold` have computed so far.
    """

    held_out: dict[str, Loo]

    predict = predict
    posterior_predictive = posterior_predictive
    effects = effects

    loo = loo
    kfold = kfold
    check = check
    sensitivity = sensitivity

    to_arviz = to_arviz
    save = save
    report = report

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
