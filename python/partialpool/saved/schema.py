"""Whether the arrays of a saved fit and its record fit together, before anything is made of them.

A file with a right fingerprint may still have been put together by somebody: names, kinds, shapes
and ranges are held to what `write_fit` writes, so that nothing later meets what it cannot take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partialpool import called
from partialpool.design import Plan
from partialpool.design.roles import ROLES
from partialpool.engine.run import Certificate
from partialpool.engine.sample import ENGINES
from partialpool.families import FAMILIES
from partialpool.priors import PRIORS
from partialpool.saved.stored import DamagedError

Arrays = Mapping[str, NDArray[Any]]

LEVEL_KINDS = ("bool", "number", "string", "json")
FINDING = {"code": str, "level": str, "message": str, "remedy": (str, type(None))}
RUN = {
    "method": str,
    "seed": str,
    "warmup": int,
    "step_size": list,
    "acceptance_rate": list,
    "seconds_warmup": (int, float),
    "seconds_sampling": (int, float),
    "interrupted": bool,
    "failures": list,
}
CERTIFICATE = {"evaluations": int, "checked": int}
MODEL = {
    "formula": str,
    "response": str,
    "family": str,
    "link": str,
    "pooling": str,
    "columns": list,
    "sigma_formula": str,
    "recipe": dict,
}
GROUP = {"name": str, "factor": str, "terms": list, "pairs": list, "predictor": str, "kind": str}


def check_record(arrays: Arrays, meta: Any) -> None:
    """Refuse what `write_fit` does not write.

    Raises
    ------
    DamagedError
        With what does not fit.
    """
    _Checked(arrays, _dict(meta, "meta")).check()


def _dict(value: Any, what: str, kinds: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Hold a value to be a mapping with these entries of these types."""
    if not isinstance(value, dict):
        raise DamagedError(what)
    for name, kind in (kinds or {}).items():
        own = value.get(name)
        if not isinstance(own, kind) or (isinstance(own, bool) and kind is int):
            raise DamagedError(f"{what}: {name}")
    return value


def _texts(value: Any, what: str, distinct: bool = True) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise DamagedError(what)
    if distinct and len(set(value)) < len(value):
        raise DamagedError(what)
    return value


def _finite(value: Any, what: str) -> None:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise DamagedError(what)


class _Checked:
    """The arrays and the record of a file, with the sizes that they agree on."""

    def __init__(self, arrays: Arrays, meta: dict[str, Any]) -> None:
        self.arrays, self.meta = arrays, meta
        b = self._array("b", "f", (None, None, None), finite=True)
        self.chains, self.draws, self.p = b.shape
        self.seen = {"b", "meta"}

    def check(self) -> None:
        meta = self.meta
        if not (self.chains and self.draws):
            raise DamagedError("no draws")
        self.model = _dict(meta.get("model"), "model", MODEL)
        columns = _texts(self.model["columns"], "columns")
        family = FAMILIES.get(self.model["family"])
        if family is None or self.model["link"] not in family.links or len(columns) != self.p:
            raise DamagedError("model")
        self._record(columns)
        self._implied()
        for name, kind in (("diverging", "i"), ("energy", "f"), ("lp", "f"), ("tree_depth", "iu")):
            if name in self.arrays:
                self._take(name, kind, (self.chains, self.draws))
        for name in self.arrays:
            if name.startswith("stat_"):
                self._take(name, "iuf", (self.chains, self.draws))
        scalars = _texts(meta.get("scalars"), "scalars")
        for k in range(len(scalars)):
            self._take(f"scalar{k}", "f", (self.chains, self.draws), finite=True)
        self._categories(scalars)
        groups = meta.get("groups")
        if not isinstance(groups, list):
            raise DamagedError("groups")
        for k, group in enumerate(groups):
            self._group(k, _dict(group, "group", GROUP), scalars)
        self._priors(columns, groups, scalars)
        self._reduced(groups)
        self._held_out()
        self._rows()
        if set(self.arrays) != self.seen:
            raise DamagedError(f"{sorted(set(self.arrays) - self.seen)[0]}")

    def _array(
        self, name: str, kinds: str, shape: tuple[int | None, ...], finite: bool = False
    ) -> NDArray[Any]:
        values = self.arrays.get(name)
        if values is None or values.dtype.kind not in kinds or values.ndim != len(shape):
            raise DamagedError(name)
        if values.dtype.kind == "f" and values.dtype != np.float64:
            raise DamagedError(name)
        if any(want not in (None, have) for want, have in zip(shape, values.shape, strict=True)):
            raise DamagedError(name)
        if finite and not np.isfinite(values).all():
            raise DamagedError(name)
        return values

    def _take(
        self, name: str, kinds: str, shape: tuple[int | None, ...], finite: bool = False
    ) -> NDArray[Any]:
        self.seen.add(name)
        return self._array(name, kinds, shape, finite)

    def _record(self, columns: list[str]) -> None:
        """What is neither draws nor groups."""
        meta = self.meta
        run = _dict(meta.get("run"), "run", RUN)
        seed = run["seed"]
        if run["method"] not in ENGINES or not (seed.isascii() and seed.isdigit()):
            raise DamagedError("run")
        if len(seed) > 20 or int(seed) >= 2**64 or run["warmup"] < 0:
            raise DamagedError("run")
        warmups = run.get("warmups", [])
        whole = isinstance(warmups, list) and all(type(count) is int for count in warmups)
        if not whole or any(not 0 <= count <= run["warmup"] for count in warmups):
            raise DamagedError("run")
        for name in ("step_size", "acceptance_rate"):
            for value in run[name]:
                _finite(value, name)
        _texts(run["failures"], "failures", distinct=False)
        self._certificate(run.get("certificate"))
        for finding in self._findings(meta.get("findings")):
            if finding["level"] not in ("info", "warning", "error"):
                raise DamagedError("findings")
        if type(meta.get("known_errors")) is not bool or type(meta.get("n_rows")) is not int:
            raise DamagedError("meta")
        facts = _dict(meta.get("provenance"), "provenance")
        if not 0 < float(facts["interval"]) < 1 or type(facts["n_rows"]) is not int:
            raise DamagedError("provenance")
        if type(facts.get("one_pass", False)) is not bool:
            raise DamagedError("provenance")
        for name in ("versions", "roles"):
            own = _dict(facts.get(name, {}), name)
            _texts(list(own.values()), name, distinct=False)
        _texts([facts[name] for name in ("source", "method", "method_reason")], "facts", False)
        for name in ("n_dropped", "seconds"):
            _finite(facts[name], name)
        try:
            self.plan = Plan.from_json(self.model["recipe"])
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedError("recipe") from error
        if set(columns) - set(self.plan.part("mu").columns):
            raise DamagedError("recipe")

    @staticmethod
    def _certificate(found: Any) -> None:
        """What vouches for independent draws; files of walks and of earlier versions have none."""
        if found is None:
            return
        if set(_dict(found, "certificate", CERTIFICATE)) != set(Certificate.__struct_fields__):
            raise DamagedError("certificate")
        for name, value in found.items():
            _finite(value, name)

    @staticmethod
    def _findings(findings: Any) -> list[dict[str, Any]]:
        if not isinstance(findings, list):
            raise DamagedError("findings")
        return [_dict(finding, "finding", FINDING) for finding in findings]

    def _categories(self, scalars: list[str]) -> None:
        categories = self.meta.get("categories")
        cuts = [name for name in scalars if called.kind_of(name) == "threshold"]
        if not isinstance(categories, list) or len(cuts) != max(len(categories) - 1, 0):
            raise DamagedError("categories")
        ordered = FAMILIES[self.model["family"]].response == "ordered"
        if ordered != (len(categories) > 0):
            raise DamagedError("categories")
        if not all(isinstance(category, (bool, int, float, str)) for category in categories):
            raise DamagedError("categories")

    def _group(self, k: int, group: dict[str, Any], scalars: list[str]) -> None:
        name, terms = group["predictor"], _texts(group["terms"], "terms")
        own = [scalar for scalar in scalars if called.array_of(scalar) == called.b(predictor=name)]
        p, q = self.p if name == "mu" else len(own), len(terms)
        if name not in ("mu", "sigma") or not q:
            raise DamagedError("predictor")
        levels = self._levels(f"group{k}_levels", group["kind"])
        parts = (part for part in self.plan.parts if part.name == name)
        known = [g for part in parts for g in part.groupings if g.name == group["factor"]]
        if len(known) != 1 or (known[0].n_levels, known[0].terms) != (levels, tuple(terms)):
            raise DamagedError("recipe")
        for pair in group["pairs"]:
            if not isinstance(pair, list) or [type(i) for i in pair] != [int, int]:
                raise DamagedError("pairs")
            if not all(0 <= i < q for i in pair):
                raise DamagedError("pairs")
        counts = self._take(f"group{k}_counts", "i", (levels,))
        if levels and int(counts.min()) < 0:
            raise DamagedError("counts")
        self._take(f"group{k}_T", "f", (q, p), finite=True)
        self._take(f"group{k}_base", "f", (q,), finite=True)
        self._take(f"group{k}_back", "f", (q, q), finite=True)
        self._take(f"group{k}_estimable", "i", (levels,))
        fixed = f"group{k}_known_sd" in self.arrays
        if fixed:
            self._take(f"group{k}_known_sd", "f", (q,))
        if f"group{k}_bounds" in self.arrays:
            self._take(f"group{k}_bounds", "f", (q, 2))
        shape = (self.chains, self.draws)
        sd = self._take(f"group{k}_sd", "f", (*shape, 0 if fixed else q), finite=True)
        cor = self._take(f"group{k}_cor", "f", (*shape, len(group["pairs"])), finite=True)
        if (sd < 0).any() or (np.abs(cor) > 1 + 1e-9).any():
            raise DamagedError("sd or cor")
        at_mean = group.get("at_mean", False)
        if type(at_mean) is not bool or not isinstance(group.get("own", []), list):
            raise DamagedError("group")
        for prior in group.get("own", []):
            _prior(prior, "own")
        if f"group{k}_own" in self.arrays:
            width = q + len(group["pairs"])
            scales = self._take(f"group{k}_own", "f", (*shape, width), finite=True)
            if (scales[..., :q] < 0).any() or (np.abs(scales[..., q:]) > 1 + 1e-9).any():
                raise DamagedError("own")
        elif at_mean and not fixed and f"group{k}_coef" not in self.arrays:
            raise DamagedError("own")
        if f"group{k}_coef" in self.arrays:
            self._take(f"group{k}_coef", "f", (*shape, levels, q))
        elif self.meta.get("reduced") is None or "working" not in self.arrays:
            raise DamagedError("coef")

    def _levels(self, name: str, kind: str) -> int:
        text = kind in ("string", "json")
        values = self._take(name, "OSUT" if text else "iuf", (None,))
        if kind not in LEVEL_KINDS and not kind.startswith("datetime64["):
            raise DamagedError(name)
        if kind.startswith("datetime64["):
            np.dtype(kind)
        if kind != "number" and not text and values.dtype.kind != "i":
            raise DamagedError(name)
        return len(values)

    def _priors(self, columns: list[str], groups: list[Any], scalars: list[str]) -> None:
        priors = _dict(self.meta.get("priors"), "priors")
        for name, prior in priors.items():
            _prior(prior, name)
        needed = [called.b(column) for column in columns]
        for k, group in enumerate(groups):
            own = f"group{k}_known_sd" in self.arrays
            kind = called.coef if own else called.sd
            needed += [kind(group["name"], term) for term in group["terms"]]
        needed += [name for name in scalars if name not in priors]
        if set(needed) - set(priors):
            raise DamagedError("priors")

    def _implied(self) -> None:
        """Priors of coefficients as written, or what version 0.1.0 had in their place."""
        if "implied" in self.meta:
            for name, prior in _dict(self.meta["implied"], "implied").items():
                _prior(prior, name)
            return
        for name in ("centre", "scale"):
            self._take(name, "f", (self.p,), finite=True)
        _finite(self.meta.get("y_centre"), "y_centre")
        at = self.meta["intercept"]
        if at is not None and not (type(at) is int and 0 <= at < self.p):
            raise DamagedError("intercept")

    def _reduced(self, groups: list[Any]) -> None:
        reduced = self.meta.get("reduced")
        if "working" in self.arrays:
            self._take("working", "f", (self.chains, self.draws, self.p), finite=True)
        if reduced is None:
            return
        order = _dict(reduced, "reduced", {"order": list, "n_rows": int})["order"]
        if [type(k) for k in order] != [int] * self.p or sorted(order) != list(range(self.p)):
            raise DamagedError("order")
        if reduced["n_rows"] < 0:
            raise DamagedError("reduced")
        m = self.p + 1
        if "integrated" in reduced:
            count = _dict(reduced, "reduced", {"integrated": int})["integrated"]
            if not 0 <= count <= self.p:
                raise DamagedError("integrated")
            self._take("reduced_prior", "f", (m, m), finite=True)
            self._take("reduced_written", "f", (self.p, m), finite=True)
        if len(groups) > 1:
            self._crossed(groups)
            return
        levels, q = 0, 0
        if groups:
            levels, q = len(self.arrays["group0_levels"]), len(groups[0]["terms"])
        self._take("reduced_r", "f", (levels, q, q), finite=True)
        self._take("reduced_b", "f", (levels, q, m), finite=True)
        self._take("reduced_w", "f", (m, m), finite=True)

    def _crossed(self, groups: list[Any]) -> None:
        """Cross-products of several factors: entries of one matrix."""
        sizes = [len(group["terms"]) for group in groups]
        levels = [len(self.arrays[f"group{k}_levels"]) for k in range(len(groups))]
        columns = sum(q * n for q, n in zip(sizes, levels, strict=True)) + self.p + 1
        value = self._take("reduced_value", "f", (None,), finite=True)
        for name in ("reduced_row", "reduced_column"):
            place = self._take(name, "iu", value.shape)
            if place.size and (place.min() < 0 or place.max() >= columns):
                raise DamagedError(name)
        unscale = self._take("reduced_unscale", "f", (sum(q * q for q in sizes),), finite=True)
        first = 0
        for q in sizes:
            if (np.diagonal(unscale[first : first + q * q].reshape(q, q)) == 0).any():
                raise DamagedError("reduced_unscale")
            first += q * q

    def _held_out(self) -> None:
        for k, one in enumerate(self.meta.get("held_out") or []):
            kinds = {"key": str, "kind": str, "facts": dict, "findings": list}
            record = _dict(one, "held_out", kinds)
            _dict(record["facts"], "held_out", {"method": str, "unit": str, "folds": int})
            self._findings(record["findings"])
            n = self._levels(f"held_out{k}_labels", record["kind"])
            for name in ("elpd_i", "log_score"):
                self._take(f"held_out{k}_{name}", "f", (n,))
            for name in ("pareto_k", "y", "mean", "weights"):
                key = f"held_out{k}_{name}"
                if name != "weights" or key in self.arrays:
                    values = self._take(key, "f", (None,))
                    if len(values) not in (0, n):
                        raise DamagedError(key)

    def _rows(self) -> None:
        stored = self.meta.get("rows")
        self.seen |= {name for name in self.arrays if name.startswith("rows_")}
        if stored is None:
            return
        kinds = {"columns": list, "n_zero_weight": int, "pooling": dict}
        columns = _dict(stored, "rows", kinds)["columns"]
        n = len(self._take("rows_positions", "i", (None,)))
        self._take("rows_dropped", "i", (None,))
        for role in ROLES:
            if f"rows_{role}" in self.arrays:
                self._take(f"rows_{role}", "fiu", (n,))
        for k, facts in enumerate(columns):
            _dict(facts, "column", {"name": str, "kind": str, "stored": str})
            values = self._levels(f"rows_{k}", facts["stored"])
            if f"rows_{k}_codes" in self.arrays:
                self._codes(f"rows_{k}_codes", n, values)
            elif values != n:
                raise DamagedError(f"rows_{k}")
            if facts.get("texts") is not None:
                values = self._levels(f"rows_{k}_texts", facts["texts"])
                self._codes(f"rows_{k}_text_codes", n, values)

    def _codes(self, name: str, n: int, values: int) -> None:
        codes = self._take(name, "i", (n,))
        if n and not 0 <= int(codes.min()) <= int(codes.max()) < values:
            raise DamagedError("codes")


def _prior(prior: Any, what: str) -> None:
    if not isinstance(prior, list) or not prior or prior[0] not in PRIORS:
        raise DamagedError(what)
    if not all(type(x) in (int, float) for x in prior[1:]):
        raise DamagedError(what)
