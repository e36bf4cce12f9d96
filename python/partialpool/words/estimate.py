"""An estimate without priors in words: what it is of, and how its columns are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from partialpool.arrays import Array
from partialpool.draws.posterior import Provenance
from partialpool.finding import Finding, about_all
from partialpool.likelihood import Maximum
from partialpool.model import Model
from partialpool.numerals import number, percent
from partialpool.words.fit import RATIO_OF_SIGMA, common_facts, rows_words, section
from partialpool.words.page import Page
from partialpool.words.table import ResultColumn, ResultTable

if TYPE_CHECKING:
    import pandas as pd


class Estimated(Protocol):
    """What there is to say of an estimate."""

    model: Model
    maximum: Maximum
    provenance: Provenance
    findings: list[Finding]

    @property
    def formula(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def labels(self) -> Sequence[str]: ...
    @property
    def numbers(self) -> Mapping[str, Array]: ...
    @property
    def log_likelihood(self) -> float: ...
    @property
    def deviance(self) -> float: ...
    @property
    def n_parameters(self) -> int: ...
    @property
    def aic(self) -> float: ...
    @property
    def bic(self) -> float: ...


NAMES = {"reml": "restricted maximum likelihood (REML)", "ml": "maximum likelihood (ML)"}


def estimate_page(estimate: Estimated, profiles: pd.DataFrame | None = None) -> Page:
    """Say what an estimate found: model, estimates, findings.

    `profiles` has intervals of all parameters, in columns lower and upper: those by profile
    likelihood, in place of Wald's.
    """
    values = dict(estimate.numbers)
    if profiles is not None:
        values |= {name: profiles[name].to_numpy() for name in ("lower", "upper")}
    inside = ", and no sd is 0" if estimate.model.groups else ""
    return Page(
        heading=_heading(estimate),
        table=_table(estimate, values),
        notes=list(_notes(estimate, profiled=profiles is not None)),
        findings=about_all(estimate.findings),
        otherwise=f"Findings: none. The maximum was found{inside}.",
        formula=estimate.formula,
        facts=_facts(estimate) | ({} if profiles is None else {"intervals": "profile likelihood"}),
        rows="parameters",
    )


def _heading(estimate: Estimated) -> list[str]:
    """Describe data, model and method in a few lines."""
    model, facts = estimate.model, estimate.provenance
    name = "REML criterion" if estimate.method == "reml" else "deviance"
    return [
        *([f"log sigma {model.sigma_formula}"] if model.sigma_formula else []),
        *rows_words(model, facts),
        f"{NAMES[estimate.method]}{_integrated(estimate)}, without priors; "
        f"{facts.seconds:.2f} s, "
        f"partialpool {facts.versions.get('partialpool', '')}",
        f"{name} {estimate.deviance:.2f} (log likelihood {estimate.log_likelihood:.2f}), "
        f"{estimate.n_parameters} parameters, AIC {estimate.aic:.2f}, BIC {estimate.bic:.2f}",
    ]


def _integrated(estimate: Estimated) -> str:
    """How levels were integrated out, where that is not exact."""
    found, model = estimate.maximum, estimate.model
    normal = model.family.conjugate and all(group.predictor == "mu" for group in model.groups)
    if not found.groups or not found.quadrature or normal:
        return ""
    if found.quadrature == 1:
        return " by Laplace's approximation"
    nodes = " × ".join([str(found.quadrature)] * len(found.groups[0].sd))
    return f" by adaptive quadrature with {nodes} nodes a level"


def _table(estimate: Estimated, values: Mapping[str, Array]) -> ResultTable:
    errors = values["standard_error"].tolist()
    heads = ("", "s.e.", *percent(estimate.provenance.interval))
    # A number without a standard error has four digits.
    columns = [
        ResultColumn(name, column, list(map(number, column.tolist(), errors)), head)
        for (name, column), head in zip(values.items(), heads, strict=True)
    ]
    labels = estimate.labels
    return ResultTable(
        "parameter", labels, columns, [section(estimate.model, label) for label in labels]
    )


def _facts(estimate: Estimated) -> dict[str, Any]:
    return {
        **common_facts(estimate.model, estimate.provenance),
        "sigma": estimate.model.sigma_formula or None,
        "log_likelihood": estimate.log_likelihood,
        "deviance": estimate.deviance,
        "n_parameters": estimate.n_parameters,
        "aic": estimate.aic,
        "bic": estimate.bic,
        "converged": estimate.maximum.converged,
    }


def _notes(estimate: Estimated, *, profiled: bool) -> Iterator[str]:
    """Give the sentences that stand under the table."""
    yield _profile_words(estimate) if profiled else _wald_words(estimate)
    if estimate.model.sigma_formula:
        yield RATIO_OF_SIGMA
    if estimate.method == "reml":
        yield "AIC and BIC of REML compare models with the same population terms."


def _profile_words(estimate: Estimated) -> str:
    low, high = percent(estimate.provenance.interval)
    interval = f"{100 * estimate.provenance.interval:g}%"
    note = f"{low} to {high}: the {interval} confidence interval by profile likelihood"
    full = ", of the full likelihood, also where estimates are by REML"
    return f"{note}{full if estimate.method == 'reml' else ''}."


def _wald_words(estimate: Estimated) -> str:
    low, high = percent(estimate.provenance.interval)
    interval = f"{100 * estimate.provenance.interval:g}%"
    rest = [
        what
        for what, there in (
            ("sds", estimate.model.groups),
            ("correlations", any(group.pairs for group in estimate.model.groups)),
            ("sigma", estimate.maximum.sigma is not None),
        )
        if there
    ]
    if estimate.maximum.quadrature:  # standard errors allow for the other parameters
        rest = []
    listed = " and ".join([", ".join(rest[:-1]), rest[-1]] if len(rest) > 1 else rest)
    note = f"{low} to {high}: the {interval} confidence interval of b (Wald)"
    if rest:
        note += f", as if {listed} were known; these have no interval here"
    return note + "."
