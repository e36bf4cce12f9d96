"""A fit ↔ arrays, and a record in JSON of all that is not numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from msgspec.structs import asdict, astuple
from numpy.typing import NDArray

from partialpool import called
from partialpool.design import Plan, upgrade
from partialpool.draws.posterior import Posterior, Provenance
from partialpool.engine import GroupDraws, Run
from partialpool.engine.run import Certificate
from partialpool.families import FAMILIES
from partialpool.finding import Finding
from partialpool.model import Group, Integrable, Model, Reduced
from partialpool.model.defaults import INTERCEPT
from partialpool.priors import PRIORS, Normal, NormalAtMean, Prior
from partialpool.saved.request import read_request, write_request
from partialpool.saved.rows import (
    levels_from_array,
    levels_to_array,
    read_rows,
    write_rows,
)
from partialpool.saved.schema import check_record
from partialpool.saved.stored import texts
from partialpool.scores.loo import Loo

Kind = TypeVar("Kind", bound=Posterior)
Arrays = Mapping[str, NDArray[Any]]

MODEL_FACTS = ("formula", "response", "link", "pooling", "sigma_formula")
GROUP_FACTS = ("name", "factor", "terms", "pairs", "predictor", "at_mean")
# Levels apart: they may be of any kind. Then draws of the group. Arrays that are None are left out.
GROUP_ARRAYS = ("counts", "T", "base", "back", "estimable", "known_sd", "bounds")
GROUP_DRAWS = ("sd", "cor", "coef", "own")
# Statistics that files know by these names; others are called `stat_…` there.
STATS = ("diverging", "energy", "lp", "tree_depth")
OTHER = "stat_"
REDUCED = "reduced_"
LOO_FACTS = ("method", "unit", "folds")
LOO_ARRAYS = ("elpd_i", "log_score", "pareto_k", "y", "mean", "weights")


def write_fit(fit: Posterior, *, rows: bool) -> dict[str, NDArray[Any]]:
    """Give all that a fit holds as arrays of numbers and texts.

    Parameters
    ----------
    rows : bool
        Whether the rows that were fitted are among them.
    """
    model, run = fit.model, fit.run
    arrays: dict[str, NDArray[Any]] = {
        "b": run.b,
        **{
            name if name in STATS else f"{OTHER}{name}": np.asarray(values)
            for name, values in run.stats.items()
        },
        **{f"scalar{k}": values for k, values in enumerate(run.scalars.values())},
    }
    if run.working is not None:
        arrays["working"] = run.working
    reduced: dict[str, Any] | None = None
    if model.reduced is not None:
        kept = model.reduced.arrays().items()
        arrays |= {f"{REDUCED}{name}": values for name, values in kept}
        reduced = {"order": model.reduced.order, "n_rows": model.reduced.data.n_rows}
        population = model.reduced.population
        if population is not None:
            reduced["integrated"] = population.count
            arrays |= {
                "reduced_prior": population.prior,
                "reduced_written": population.written,
            }
    groups = []
    for k, (group, drawn) in enumerate(zip(model.groups, run.groups, strict=True)):
        kind, arrays[f"group{k}_levels"] = levels_to_array(group.levels)
        parts = {name: getattr(group, name) for name in GROUP_ARRAYS}
        parts |= {name: getattr(drawn, name) for name in GROUP_DRAWS}
        arrays |= {f"group{k}_{name}": x for name, x in parts.items() if x is not None}
        own = [_encode_prior(prior) for prior in group.own]
        groups.append(
            {name: getattr(group, name) for name in GROUP_FACTS} | {"kind": kind, "own": own}
        )
    meta = {
        "groups": groups,
        "scalars": list(run.scalars),
        "reduced": reduced,
        "model": {
            **{name: getattr(model, name) for name in MODEL_FACTS},
            "family": model.family.name,
            "columns": model.columns,
            "recipe": model.plan.to_json(),
        },
        "categories": [
            c if isinstance(c, (bool, int, float, str)) else str(c) for c in model.categories
        ],
        "known_errors": model.known_errors,
        "n_rows": model.n_rows,
        "priors": {name: _encode_prior(prior) for name, prior in model.priors.items()},
        "implied": {name: _encode_prior(prior) for name, prior in model.implied.items()},
        "run": _run_facts(run),
        "provenance": asdict(fit.provenance),
        "request": write_request(fit.request),
        "findings": [asdict(finding) for finding in fit.findings],
        "held_out": _write_scores(fit.held_out, arrays),
        "rows": write_rows(fit.design, arrays) if rows and fit.design is not None else None,
    }
    # As a variable: attributes are limited to 64 KiB.
    arrays["meta"] = np.array(json.dumps(meta), dtype=object)
    return {name: v.astype(np.int8) if v.dtype == bool else v for name, v in arrays.items()}


def _run_facts(run: Run) -> dict[str, Any]:
    """Give all that is no numbers of the draws."""
    return {
        "method": run.method,
        # JSON readers elsewhere may round integers beyond 2⁵³
        "seed": str(run.seed),
        "warmup": run.warmup,
        "warmups": run.warmups,
        "step_size": run.step_size,
        "acceptance_rate": run.acceptance_rate,
        "seconds_warmup": run.seconds_warmup,
        "seconds_sampling": run.seconds_sampling,
        "interrupted": run.interrupted,
        "failures": run.failures,
        "certificate": None if run.certificate is None else asdict(run.certificate),
    }


def read_fit(arrays: Arrays, kind: type[Kind]) -> Kind:
    """Build the posterior that :func:`write_fit` was given, as one of this kind."""
    meta = json.loads(texts(arrays["meta"])[0])
    check_record(arrays, meta)
    facts = meta["model"]
    model = Model(
        **{name: facts[name] for name in MODEL_FACTS},
        family=FAMILIES[facts["family"]],
        columns=tuple(facts["columns"]),
        plan=Plan.from_json(upgrade(facts["recipe"])),
        categories=tuple(meta["categories"]),
        groups=tuple(_read_group(arrays, k, facts) for k, facts in enumerate(meta["groups"])),
        priors={name: _decode_prior(spec) for name, spec in meta["priors"].items()},
        coordinates={},
        known_errors=meta["known_errors"],
        n_rows=meta["n_rows"],
        reduced=_read_reduced(arrays, meta),
        core=None,
        stored_implied=_read_implied(meta, arrays),
    )
    run = _read_run(arrays, meta, len(model.groups))
    findings = [Finding(**finding) for finding in meta["findings"]]
    stored = meta.get("rows")
    design = None if stored is None else read_rows(arrays, stored, model)
    # Files of earlier versions do not say what was asked.
    request = read_request(meta.get("request"))
    fit = kind(model, run, Provenance(**meta["provenance"]), findings, design, request)
    fit.held_out |= _read_scores(arrays, meta.get("held_out", []))
    return fit


def _read_run(arrays: Arrays, meta: Mapping[str, Any], n_groups: int) -> Run:
    record = meta["run"]
    stats = {
        name.removeprefix(OTHER): values
        for name, values in arrays.items()
        if name in STATS or name.startswith(OTHER)
    }
    if "diverging" in stats:
        stats["diverging"] = stats["diverging"].astype(bool)
    return Run(
        method=record["method"],
        seed=int(record["seed"]),
        warmup=record["warmup"],
        b=arrays["b"],
        groups=tuple(GroupDraws(*_parts(arrays, k, GROUP_DRAWS).values()) for k in range(n_groups)),
        scalars={name: arrays[f"scalar{k}"] for k, name in enumerate(meta["scalars"])},
        working=arrays.get("working"),
        stats=stats,
        step_size=tuple(record["step_size"]),
        acceptance_rate=tuple(record["acceptance_rate"]),
        seconds_warmup=record["seconds_warmup"],
        seconds_sampling=record["seconds_sampling"],
        interrupted=record["interrupted"],
        failures=tuple(record["failures"]),
        # Files of earlier versions have walks only, all of whose chains warm up for as long.
        warmups=tuple(record.get("warmups", ())),
        certificate=None if (found := record.get("certificate")) is None else Certificate(**found),
    )


def _read_reduced(arrays: Arrays, meta: dict[str, Any]) -> Reduced | None:
    """Rebuild the rows, reduced, where the engine integrated."""
    facts = meta["reduced"]
    if facts is None:
        return None
    kept = {
        name.removeprefix(REDUCED): values
        for name, values in arrays.items()
        if name.startswith(REDUCED)
    }
    shapes = [
        (len(arrays[f"group{k}_levels"]), len(group["terms"]))
        for k, group in enumerate(meta["groups"])
    ]
    population, count = None, facts.get("integrated")
    if count is not None:
        population = Integrable(count, kept["prior"], kept["written"])
    return Reduced.from_arrays(kept, facts["order"], facts["n_rows"], shapes, population)


def _write_scores(
    held_out: Mapping[str, Loo], arrays: dict[str, NDArray[Any]]
) -> list[dict[str, Any]]:
    record = []
    for k, (key, loo) in enumerate(held_out.items()):
        kind, arrays[f"held_out{k}_labels"] = levels_to_array(loo.labels)
        arrays |= {f"held_out{k}_{name}": getattr(loo, name) for name in LOO_ARRAYS}
        facts = {name: getattr(loo, name) for name in LOO_FACTS}
        findings = [asdict(finding) for finding in loo.findings]
        record.append({"key": key, "kind": kind, "facts": facts, "findings": findings})
    return record


def _read_scores(arrays: Arrays, record: Sequence[Mapping[str, Any]]) -> dict[str, Loo]:
    found = {}
    for k, one in enumerate(record):
        parts: dict[str, Any] = dict(one["facts"])
        parts["labels"] = levels_from_array(one["kind"], arrays[f"held_out{k}_labels"])
        # Files of earlier versions have no weights.
        keys = {name: f"held_out{k}_{name}" for name in LOO_ARRAYS}
        parts |= {name: arrays[key] for name, key in keys.items() if key in arrays}
        parts["findings"] = tuple(Finding(**finding) for finding in one["findings"])
        found[one["key"]] = Loo(**parts)
    return found


def _read_group(arrays: Arrays, k: int, facts: dict[str, Any]) -> Group:
    parts = _parts(arrays, k, GROUP_ARRAYS)
    parts["estimable"] = np.asarray(parts["estimable"], dtype=bool)
    return Group(
        name=facts["name"],
        factor=facts["factor"],
        terms=tuple(facts["terms"]),
        levels=levels_from_array(facts["kind"], arrays[f"group{k}_levels"]),
        pairs=tuple((i, j) for i, j in facts["pairs"]),
        predictor=facts["predictor"],
        # Files of version 0.1.0 have no coefficients at the mean of the predictors.
        at_mean=facts.get("at_mean", False),
        own=tuple(_decode_prior(spec) for spec in facts.get("own", [])),
        **parts,
    )


def _parts(arrays: Arrays, k: int, names: Sequence[str]) -> dict[str, Any]:
    """Arrays of the group at position k by name; None for those that it does not have."""
    return {name: arrays.get(f"group{k}_{name}") for name in names}


def _read_implied(meta: Mapping[str, Any], arrays: Arrays) -> dict[str, Normal]:
    """Priors of coefficients as written; of version 0.1.0 only the intercept's differ."""
    if "implied" in meta:
        found = {name: _decode_prior(spec) for name, spec in meta["implied"].items()}
        return {name: prior for name, prior in found.items() if isinstance(prior, Normal)}
    priors = {name: _decode_prior(spec) for name, spec in meta["priors"].items()}
    at = meta["intercept"]
    if at is None or not isinstance(priors.get(called.b(INTERCEPT)), NormalAtMean):
        return {}
    mean, variance = 0.0, 0.0
    for k, name in enumerate(meta["model"]["columns"]):
        prior, weight = priors[called.b(name)], 1.0 if k == at else -float(arrays["centre"][k])
        if not isinstance(prior, Normal):
            return {}
        mean += weight * prior.mean
        variance += (weight * prior.sd) ** 2
    return {called.b(INTERCEPT): Normal(mean, math.sqrt(variance))}


def _encode_prior(prior: Prior) -> list[Any]:
    return [type(prior).__name__, *astuple(prior)]


def _decode_prior(spec: list[Any]) -> Prior:
    return PRIORS[spec[0]](*spec[1:])
