"""The sections of a report: what each says, in order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from partialpool import called
from partialpool.arrays import tails
from partialpool.draws.approximate import approximation
from partialpool.draws.posterior import population_draws
from partialpool.finding import Finding
from partialpool.numerals import formatted, minus, percent
from partialpool.report import methods, notation, reproduce
from partialpool.report.answer import answer
from partialpool.report.charts import Chart, figure
from partialpool.report.checklist import checklist
from partialpool.report.effect_chart import effect_chart
from partialpool.report.effects import Effect, effects_of, left_out
from partialpool.report.groups import group_parts
from partialpool.report.hierarchy import hierarchy
from partialpool.report.levels import Levels, levels_of
from partialpool.report.markup import (
    Cell,
    Head,
    Html,
    bullets,
    code,
    coded,
    element,
    joined,
    paragraph,
    quoted,
    result_table,
    table,
)
from partialpool.report.numbers import estimate_text
from partialpool.report.pictures import drawn
from partialpool.report.subject import Missing, Subject, sentence
from partialpool.words.fit import intercept_note, parameter_table, scale_note, unpooled_note
from partialpool.words.parameters import level_means, scale_name
from partialpool.words.table import ResultTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVELS = {"error": "Error", "warning": "Warning", "info": "Note"}
RATIOS = {"log": "ratio", "logit": "odds ratio"}


class Section(Struct, frozen=True):
    """A part of the page.

    Attributes
    ----------
    id : str
        Where links lead.
    title : str
        Its heading.
    body : Html
        What it says.
    charts : tuple of Chart
        The figures in it that scripts bring to life.
    """

    id: str
    title: str
    body: Html
    charts: tuple[Chart, ...] = ()


class Sections:
    """All sections of a report.

    Parameters
    ----------
    subject : Subject
        What it is about.
    path : str
        The report's file, for the lines that make it again.
    """

    def __init__(self, subject: Subject, path: str) -> None:
        self.subject, self.path = subject, path

    @cached_property
    def effects(self) -> list[Effect] | Missing:
        """What predictors do."""
        return effects_of(self.subject)

    @cached_property
    def levels(self) -> list[Levels]:
        """What is known of the levels."""
        return levels_of(self.subject)

    def all(self) -> list[Section]:
        """Give the sections in order; the checklist says where each is."""
        found = [
            self._answer(),
            self._findings(),
            self._data(),
            self._model(),
            self._estimates(),
            *self._pooling(),
            *self._groups(),
            self._effects(),
            self._variance(),
            self._checks(),
            self._methods(),
            self._reproduce(),
        ]
        titles = {section.id: section.title for section in found}
        return [*found, Section("checklist", "Reporting checklist", checklist(titles))]

    def _answer(self) -> Section:
        three = answer(self.subject, self.effects, self.levels)
        return Section("answer", "The answer", joined(*map(paragraph, three)))

    def _findings(self) -> Section:
        found = self.subject.findings
        if not found:
            said = paragraph(
                "None: nothing was found in data, draws, priors and checks that one should know "
                "before trusting the numbers."
            )
            return Section("findings", "Findings", said)
        items = [_finding(about, finding) for about, finding in found]
        return Section("findings", "Findings", element("ul", *items, class_="findings"))

    def _data(self) -> Section:
        facts, design = self.subject.fit.provenance, self.subject.fit.design
        total = facts.n_rows + facts.n_dropped
        source = "a table in memory" if facts.source == "the table" else f"`{facts.source}`"
        said = f"{facts.n_rows:,} rows of {source} were fitted. "
        said += (
            f"{facts.n_dropped:,} of {total:,} rows have missing values in the variables used and "
            "were left out (complete cases)."
            if facts.n_dropped
            else "No row has missing values in the variables used."
        )
        if design is not None and design.n_zero_weight:
            said += f" {design.n_zero_weight:,} rows with weight 0 were left out."
        return Section("data", "The data", joined(paragraph(said), hierarchy(self.subject)))

    def _model(self) -> Section:
        fit = self.subject.fit
        priors = [
            [code(name), prior, implied] for name, prior, implied in methods.names_of_priors(fit)
        ]
        heads = [Head("Parameter", False), Head("Prior", False)]
        if any(implied for *_, implied in priors):
            heads.append(Head("Implied as written", False))
        else:
            priors = [row[:2] for row in priors]
        told = [*notation.legend(fit), *filter(None, [scale_note(fit)])]
        body = joined(
            paragraph(joined("In a formula: ", code(fit.formula))),
            notation.equations(fit),
            bullets(told, "legend"),
            element("h3", "Priors"),
            table("Priors, with their numbers", heads, priors),
            *(paragraph(note, "small") for note in [_priors_note(self.subject)] if note),
        )
        return Section("model", "The model", body)

    def _estimates(self) -> Section:
        fit = self.subject.fit
        found = parameter_table(fit)
        low, high = percent(fit.provenance.interval)
        if found is None:
            shown = paragraph("The model has no population-level parameters.")
        else:
            kept = [c for c in found.columns if c.name not in ("ess", "r_hat", "prior")]
            caption = f"Posterior means, sds and intervals from {low} to {high}"
            rows = ResultTable(found.index, found.labels, kept, found.sections)
            shown = result_table(caption, rows, "Parameter")
        notes = [intercept_note(fit) if fit.model.categories else None, unpooled_note(fit)]
        ratios = _ratios(self.subject)
        body = joined(shown, ratios, *(paragraph(note, "small") for note in notes if note))
        return Section("estimates", "Estimates", body)

    def _pooling(self) -> Iterator[Section]:
        compared = self.subject.compared
        if compared is not None:
            caption = "Posterior means under complete, no and partial pooling"
            found = compared.page.table
            assert found is not None
            body = joined(
                paragraph(minus(compared.sentence)), result_table(caption, found, "Quantity")
            )
            yield Section("pooling", "What pooling does", body)

    def _groups(self) -> Iterator[Section]:
        if self.levels:
            body, charts = group_parts(self.subject, self.levels)
            yield Section("groups", "The groups", body, charts)

    def _effects(self) -> Section:
        found = self.effects
        if isinstance(found, Missing):
            return Section("effects", "Effects", paragraph(found.why))
        rest = left_out(self.subject)
        if not found:
            said = rest or "The formula has no predictor beside the groups."
            return Section("effects", "Effects", paragraph(said))
        charts = [
            effect_chart(f"effect{k}", one.by, one.unit, one.frame) for k, one in enumerate(found)
        ]
        each = [
            joined(
                element("h3", code(one.by)), paragraph(f"On average, {one.words}."), figure(chart)
            )
            for one, chart in zip(found, charts, strict=True)
        ]
        intro = paragraph(
            "What is expected on average over the rows if all had the same value of a predictor, "
            "with levels averaged over their population."
        )
        grid = element("div", *(element("div", one) for one in each), class_="grid")
        note = paragraph(rest, "small") if rest else ""
        return Section("effects", "Effects", joined(intro, grid, note), tuple(charts))

    def _variance(self) -> Section:
        title = "Where the variation lies"
        found = self.subject.variance
        if isinstance(found, Missing):
            return Section("variance", title, paragraph(found.why))
        rows = [
            [code(str(name)), estimate_text(*row[["mean", "lower", "upper"]]), row["definition"]]
            for name, row in found.table.iterrows()
        ]
        heads = [Head("Quantity", False), Head("Mean (interval)"), Head("What it is", False)]
        caption = "Variances, their shares, intraclass correlations and R²"
        parts = [one.section for one in found.quantities]
        said = [paragraph(note) for note in found.page.notes]
        body = joined(*said, table(caption, heads, rows, sections=parts))
        return Section("variance", title, body)

    def _checks(self) -> Section:
        subject = self.subject
        parts: list[Html] = [element("h3", "Can the model make data like these?")]
        check = subject.check
        if isinstance(check, Missing):
            parts.append(paragraph(check.why))
        else:
            page = check.page
            draw = check.plot.bars if check.is_discrete else check.plot.density
            assert page.table is not None
            parts += [
                paragraph(
                    page.findings_text if not page.findings else _see_findings(check.findings)
                ),
                _picture(draw(), f"{subject.response}: the data beside data that the model made"),
                result_table("The data beside data that the model made", page.table, "Statistic"),
                *(paragraph(note, "small") for note in page.notes),
            ]
        parts.append(element("h3", "What the estimates owe to the priors"))
        owed = subject.sensitivity
        if isinstance(owed, Missing):
            parts.append(paragraph(owed.why))
        else:
            page = owed.page
            assert page.table is not None
            parts += [
                paragraph(page.otherwise if not owed.findings else _see_findings(owed.findings)),
                result_table("Sensitivity to the priors", page.table, "Parameter"),
                *(paragraph(note, "small") for note in page.notes),
            ]
        parts += [element("h3", "Held-out accuracy"), _held_out(subject)]
        parts += [element("h3", "The draws"), *_draws(subject)]
        return Section("checks", "Checks and diagnostics", joined(*parts))

    def _methods(self) -> Section:
        text = methods.paragraph_of(self.subject)
        body = joined(paragraph("To paste and shorten:"), quoted(text, "text", "prose"))
        return Section("methods", "Methods", body)

    def _reproduce(self) -> Section:
        fit = self.subject.fit
        shell = reproduce.shell_command(self.subject, self.path)
        facts = fit.provenance
        versions = ", ".join(f"{name} {number}" for name, number in facts.versions.items())
        parts = [
            paragraph(
                f"The same seed ({fit.seed}), data and version give the same draws, on any number "
                f"of threads. Made with {versions}."
            ),
            element("h3", "Python"),
            quoted(reproduce.python_code(self.subject, self.path), "Python"),
            element("h3", "Command line"),
            quoted(shell, "command")
            if shell
            else paragraph(
                "What was given is in memory alone (a table, or values of rows): write it to a "
                "file for the command line."
            ),
            *(paragraph(note, "small") for note in reproduce.caveats(self.subject)),
        ]
        return Section("reproduce", "How to reproduce", joined(*parts))


def _finding(about: str, finding: Finding) -> Html:
    head = element("strong", f"{LEVELS[finding.level]}{f' ({about})' if about else ''}: ")
    said = joined(head, coded(finding.message), " ", element("span", coded(finding.remedy)))
    return element("li", said, class_=finding.level)


def _see_findings(findings: tuple[Finding, ...]) -> str:
    n = len(findings)
    return f"{n} finding{'s' * (n > 1)} above {'are' if n > 1 else 'is'} about this."


def _priors_note(subject: Subject) -> str:
    own = methods.chosen_priors(subject)
    if own is None:
        return "An earlier version did not keep which of them were chosen."
    if not own:
        return "All are defaults, scaled to the data so that units do not matter."
    chosen = ", ".join(f"`{name}`" for name in own)
    return f"Chosen for this analysis: {chosen}; the rest are defaults."


def _ratios(subject: Subject) -> Html:
    """Give exp(b) where it says what a coefficient does; quantiles keep under exp."""
    fit = subject.fit
    word, means = RATIOS.get(scale_name(fit.model)), level_means(fit.model)
    labels, draws = population_draws(fit.model, fit.run)
    ends = tails(fit.provenance.interval)
    rows: list[list[str | Cell]] = []
    for k, name in enumerate(labels):
        intercept = called.place_of(name) == "Intercept" or name in means
        if word is None or intercept or called.array_of(name) != "b":
            continue
        with np.errstate(over="ignore"):
            middle, low, high = np.exp(np.quantile(draws[..., k], [0.5, *ends]))
        rows.append([code(name), *(Cell(f"{x:.3g}") for x in (middle, low, high))])
    if not rows or word is None:
        return Html("")
    low, high = percent(fit.provenance.interval)
    heads = [Head("Parameter", False), Head("median"), Head(low), Head(high)]
    caption = f"As {word}s: exp(b). {fit.model.family.words[scale_name(fit.model)]}"
    return joined(element("h3", f"As {word}s"), table(caption, heads, rows))


def _held_out(subject: Subject) -> Html:
    loo = subject.loo
    if isinstance(loo, Missing):
        return paragraph(loo.why)
    return paragraph(minus(loo.sentence))


def _draws(subject: Subject) -> Iterator[Html]:
    """Say how the sampling went: what vouches for independent draws, or for chains."""
    fit, run = subject.fit, subject.fit.run
    certificate = run.certificate
    if certificate is not None:
        yield paragraph(f"{sentence(certificate.words)} Independent draws need no convergence.")
        if (found := approximation(fit.model, run)) is not None:
            yield paragraph(sentence(found.words))
        rows: list[list[str | Cell]] = [
            ["Exact evaluations of the density", f"{certificate.evaluations:,}"],
            ["Fresh draws at which it was compared", f"{certificate.checked:,}"],
            ["Sd of the differences in its logarithm", f"{certificate.sd:.2g}"],
            ["Largest difference", f"{certificate.largest:.2g}"],
            ["Mass outside the region covered", f"{certificate.outside:.2g}"],
            ["Pareto k of the weights", f"{certificate.pareto_k:.2f}"],
        ]
        heads = [Head("What vouches for the draws", False), Head("Value")]
        yield table("The certificate of the draws", heads, rows)
        return
    yield paragraph(
        f"{run.chains} chains of {run.draws} draws, {fit.method} engine: {fit.method_reason}."
    )
    summary = fit.parameter_summary
    judged: list[list[str | Cell]] = []
    for k, name in enumerate(summary.labels):
        values = {key: float(summary.values[key][k]) for key in ("r_hat", "ess_bulk", "ess_tail")}
        judged.append(
            [
                code(name),
                formatted(values["r_hat"], ".3f"),
                formatted(values["ess_bulk"], ".0f"),
                formatted(values["ess_tail"], ".0f"),
            ]
        )
    heads = [Head("Parameter", False), Head("R-hat"), Head("ESS bulk"), Head("ESS tail")]
    yield table("How well chains agree, and how many draws their draws are worth", heads, judged)
    yield paragraph(
        "R-hat: chains agree where it is at most 1.01. ESS: the effective number of draws for "
        "means (bulk) and ends of intervals (tail); 400 or more is fine.",
        "small",
    )


def _picture(figure: Figure, about: str) -> Html:
    """Put a figure of matplotlib into the page."""
    return element("figure", element("img", src=drawn(figure), alt=about), class_="still")
