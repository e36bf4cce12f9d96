"""The kinds of inputs. Each takes a random generator and a folder, and runs one input."""

import contextlib
import copy
import io
import math
import pickle

import numpy as np
import pandas as pd
from scipy import optimize, stats

import partialpool as pp
from partialpool.cli import main
from robustness.fuzz import tables, text
from robustness.fuzz.judge import Insane, ordered, same, sane, within

FEW = {"chains": 1, "draws": 12, "warmup": 12}


def options(rng, family, columns):
    """Options that fit one another, for a few draws."""
    n = len(next(iter(columns.values())))
    found = {"family": family, "seed": int(rng.integers(100)), **FEW}
    if family == "binomial":
        found["trials"] = [5, 7, np.full(n, 6.0), 3][rng.integers(4)]
    if rng.random() < 0.25:
        found["pooling"] = str(rng.choice(["none", "complete", "partial"]))
    if rng.random() < 0.1 and family == "gaussian":
        found["method"] = str(rng.choice(["nuts", "metropolis", "reml", "ml", "marginal"]))
        if found["method"] in ("reml", "ml"):
            for name in ("chains", "draws", "warmup", "seed"):
                del found[name]
    if rng.random() < 0.1:
        found["weights"] = rng.integers(0, 4, n) if rng.random() < 0.5 else rng.lognormal(size=n)
    if rng.random() < 0.05:
        found["offset"] = rng.normal(size=n)
    if rng.random() < 0.05 and family == "gaussian":
        found["se"] = rng.lognormal(size=n)
    if rng.random() < 0.1 and family in ("poisson", "negbinomial"):
        found["exposure"] = rng.lognormal(size=n)
    if rng.random() < 0.1 and family in ("gaussian", "student_t"):
        found["sigma"] = "~ 1"
    return found


def small_fit(rng):
    """A random fit, with its table."""
    family = str(rng.choice(text.FAMILIES))
    columns, numbers, groups = tables.table(rng, family)
    formula = text.formula(rng, numbers, groups)
    data = tables.held(rng, columns)
    return pp.fit(formula, data, **options(rng, family, columns)), columns


def fits(rng, folder):
    """A fit and one thing that it answers."""
    fit, columns = small_fit(rng)
    sane(fit)
    if isinstance(fit, pp.Estimate):
        return
    usable = not any(f.level == "error" for f in fit.findings)
    answer = rng.integers(10)
    family = fit.model.family.name
    if answer == 0:
        predicted = fit.predict(kind=str(rng.choice(["mean", "observation", "linear"])))
        if usable:
            ordered(predicted.loc[:, ~predicted.columns.duplicated(keep="last")])
    elif answer == 1:
        n = int(rng.integers(1, 6))
        new = {name: tables.categories(rng, n) if rng.random() < 0.2 else list(column)[:n]
               for name, column in columns.items()}  # fmt: skip
        predicted = fit.predict(new)
        if usable:
            within(predicted.loc[:, ~predicted.columns.duplicated(keep="last")], family)
    elif answer == 2:
        score = fit.loo()
        repr(score)
        if usable and score.n and not math.isfinite(score.elpd):
            raise Insane(f"the score is {score.elpd}")
    elif answer == 3:
        repr(fit.check(draws=12))
    elif answer == 4:
        repr(fit.sensitivity())
    elif answer == 5:
        fit.save(folder / "fit.nc")
        loaded = pp.load(folder / "fit.nc")
        same(loaded.summary(), fit.summary())
        same(loaded.predict(), fit.predict())
    elif answer == 6:
        for twin in (pickle.loads(pickle.dumps(fit)), copy.deepcopy(fit)):
            same(twin.coefficients(), fit.coefficients())
    elif answer == 7:
        by = [str(name) for name in rng.choice(list(columns), int(rng.integers(1, 3)))]
        fit.effects(by[0] if len(by) == 1 else by, pairwise=bool(rng.random() < 0.5))
    elif answer == 8:
        fit.to_arviz(prior=5 if rng.random() < 0.5 else False)
    else:
        repr(fit.kfold(2))


def formulas(rng, folder):
    """A formula with slips, on a table that is fine."""
    data = {"y": rng.normal(size=12), "x": rng.normal(size=12), "z": rng.normal(size=12)}
    data |= {"g": np.resize(list("abc"), 12), "h": np.resize([1, 2], 12)}
    formula = text.formula(rng, ("x", "z"), ("g", "h"))
    if rng.random() < 0.8:
        formula = text.mutated(rng, formula)
    pp.default_priors(formula, data)


def odd_options(rng, folder):
    """One option that is odd, among others that are fine."""
    data = {"y": rng.normal(size=12), "x": rng.normal(size=12), "g": np.resize(list("abc"), 12)}
    name, value = text.odd_option(rng)
    found = {"seed": 1, **FEW} | {name: value}
    sane(pp.fit("y ~ x + (1 | g)", data, **found))


def odd_arguments(rng, folder):
    """A method of a fit with an argument that is odd."""
    fit = _FIT.get() or _FIT.put(
        pp.fit("y ~ x + (x | g)", {"y": [1.0, 3, 2, 5, 4, 6], "x": [1, 2, 3, 4, 5, 7],
               "g": list("aabbcc")}, seed=1, **FEW)
    )  # fmt: skip
    value = text.ODD[int(rng.integers(len(text.ODD)))]
    calls = [
        lambda: fit.summary(value),
        lambda: fit.loo(by=value),
        lambda: fit.kfold(value),
        lambda: fit.kfold(2, by=value),
        lambda: fit.check(draws=value),
        lambda: fit.check(seed=value),
        lambda: fit.group_draws(value),
        lambda: fit.group_draws([value]),
        lambda: fit.effects(value),
        lambda: fit.effects("x", value),
        lambda: fit.effects("x", at={"x": value}),
        lambda: fit.effects([value, "g"]),
        lambda: fit.effects("g", at={"g": value}),
        lambda: fit.effects("x", groups=value),
        lambda: fit.effects("x", groups={"g": value}),
        lambda: fit.effects("x", reference=value),
        lambda: fit.effects("x", pairwise=value),
        lambda: fit.effects("g", slope=value),
        lambda: fit.predict(value),
        lambda: fit.predict({"x": [1.0], "g": value}),
        lambda: fit.predict(kind=value),
        lambda: fit.predict(interval=value),
        lambda: fit.predict(seed=value),
        lambda: fit.predict(offset=value),
        lambda: fit.posterior_predictive(draws=value),
        lambda: fit.to_arviz(prior=value),
        lambda: fit.save(value),
        lambda: pp.load(value),
        lambda: pp.compare_fits(value),
        lambda: pp.compare_fits({"a": fit, "b": value}),
        lambda: pp.fit(value, {"y": [1.0, 2.0]}),
        lambda: pp.fit("y ~ 1", value),
        lambda: pp.fit("y ~ x", {"y": [1.0, 2.0], "x": value}),
        lambda: pp.simulate(value),
    ]
    with contextlib.chdir(folder):
        calls[int(rng.integers(len(calls)))]()


class _Once:
    """A thing that is made when it is first wanted."""

    def __init__(self):
        self.thing = None

    def get(self):
        return self.thing

    def put(self, thing):
        self.thing = thing
        return thing


_FIT = _Once()


def priors(rng, folder):
    """Priors on what may or may not be a parameter."""
    data = {"y": rng.normal(size=15), "x": rng.normal(size=15), "g": np.resize(list("abc"), 15)}
    keys = rng.permutation(text.KEYS)[: rng.integers(1, 4)]
    chosen = {str(key): text.prior(rng) for key in keys}
    fit = pp.fit("y ~ x + (x | g)", data, priors=chosen, seed=1, **FEW)
    sane(fit)


def command(*arguments):
    """Run the command line here; fail unless it ends as it should."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    said = err.getvalue()
    if code not in (0, 1, 2) or "Traceback" in said:
        raise Insane(f"exit code {code}: {said}")
    if code == 2:
        line = said.strip().splitlines()[-1] if said.strip() else ""
        if said.count("error: ") != 1 or not line.startswith("error: "):
            raise Insane(f"exit code 2 without one line: {said!r}")
        raise pp.InputError(line.removeprefix("error: ").rstrip("."))
    return out.getvalue()


def commands(rng, folder):
    """The command line on a file of some kind."""
    columns, numbers, groups = tables.table(rng)
    path = written(rng, pd.DataFrame(columns), folder)
    formula = text.formula(rng, numbers, groups)
    few = ["--draws", 12, "--warmup", 12, "--chains", 1, "--seed", 1]
    kind = rng.integers(4)
    if kind == 0:
        odd = ["--prior", "sigma=2", "--family", "x", "--pooling", "g=none", "--draws", "0", "--se"]
        odd += [
            "x",
            "--interval",
            "2",
            "--nothing",
            "",
            "--json",
            "--trials",
            "z",
            "--weights",
            "x",
        ]
        few += list(rng.permutation(odd)[: rng.integers(1, 4)])
    if kind == 3:
        command("compare", path, formula, *few)
        return
    command("fit", path, formula, *few, "--out", folder / "fit.nc")
    if kind == 1:
        command("predict", folder / "fit.nc", path, "--out", folder / "p.csv")
    elif kind == 2:
        command("check", folder / "fit.nc", "--draws", 12)


def written(rng, frame, folder):
    """A file of a table: separators, quotes, marks, line ends and encodings as people have them."""
    kind = rng.integers(8)
    if kind == 0:
        with contextlib.suppress(Exception):
            frame.to_parquet(folder / "t.parquet")
            return folder / "t.parquet"
    if kind == 1:
        with contextlib.suppress(Exception):
            frame.to_feather(folder / "t.feather")
            return folder / "t.feather"
    comma = rng.random() < 0.15
    made = frame.to_csv(
        None,
        index=False,
        sep=";" if comma else str(rng.choice([",", ",", "\t", ";", "|"])),
        decimal="," if comma else ".",
        na_rep=str(rng.choice(["", "NA", "NULL", ".", "-", "missing"])),
        lineterminator=str(rng.choice(["\n", "\r\n"])),
        quoting=int(rng.choice([0, 0, 1, 2])),
    )
    if rng.random() < 0.1:
        made = "\ufeff" + made
    if rng.random() < 0.1:
        made += str(rng.choice(["\n\n", "total,,,\n", "1,2\n", '"open\n']))
    encoding = "utf-8" if rng.random() < 0.9 else "utf-16"
    path = folder / str(rng.choice(["t.csv", "t.tsv", "a b.csv", "é.csv"]))
    path.write_bytes(made.encode(encoding, errors="replace"))
    return path


def files(rng, folder):
    """A table as a file gives the same as the table itself."""
    n = int(rng.integers(8, 30))
    frame = pd.DataFrame(
        {"y": rng.normal(size=n), "x": np.round(rng.normal(size=n), 3),
         "g": rng.choice(["a", "b", " c", "01", "1", "é"], n)}
    )  # fmt: skip
    path = written(rng, frame, folder)
    fit = pp.fit("y ~ x + (1 | g)", path, seed=1, **FEW)
    sane(fit)


def damaged(rng, folder):
    """A file with bytes changed, cut or added."""
    kind = rng.integers(4)
    frame = pd.DataFrame({"y": rng.normal(size=20), "g": np.resize(list("abcd"), 20)})
    if kind == 0:
        path = folder / "fit.nc"
        pp.fit("y ~ 1 + (1 | g)", frame, seed=1, **FEW).save(path)
    elif kind == 1:
        path = folder / "t.parquet"
        frame.to_parquet(path)
    elif kind == 2:
        path = folder / "t.feather"
        frame.to_feather(path)
    else:
        path = folder / "t.csv"
        frame.to_csv(path, index=False)
    content = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(content)))
        what = rng.integers(3)
        if what == 0:
            content[at] ^= int(rng.integers(1, 256))
        elif what == 1:
            del content[at:]
            content += b" "
        else:
            content[at:at] = rng.bytes(int(rng.integers(1, 9)))
    path.write_bytes(bytes(content))
    if kind == 0:
        sane(pp.load(path))
    else:
        sane(pp.fit("y ~ 1 + (1 | g)", path, seed=1, **FEW))


def conjugate(rng, folder):
    """A regression with known errors: its posterior is normal, and known."""
    n, p = int(rng.integers(3, 15)), int(rng.integers(1, 4))
    X = np.column_stack([np.ones(n), *rng.normal(size=(p - 1, n)) * 10.0 ** rng.integers(-2, 3)])
    se, sd = rng.lognormal(size=n), rng.lognormal(size=p)
    mean = rng.normal(size=p)
    y = X @ rng.normal(size=p) + se * rng.normal(size=n)
    names = ["Intercept", *(f"x{k}" for k in range(1, p))]
    data = {name: X[:, k] for k, name in enumerate(names)} | {"y": y}
    own = {f"b[{name}]": pp.Normal(mean[k], sd[k]) for k, name in enumerate(names)}
    fit = pp.fit(
        " + ".join(["y ~ 1", *names[1:]]), data, se=se, priors=own, seed=int(rng.integers(99)),
        draws=500, warmup=50, chains=2,
    )  # fmt: skip
    precision = X.T @ (X / se[:, None] ** 2) + np.diag(1 / sd**2)
    cov = np.linalg.inv(precision)
    expected = cov @ (X.T @ (y / se**2) + mean / sd**2)
    found = fit.summary()
    off = (found["mean"].to_numpy() - expected) / np.sqrt(np.diag(cov) / 1000)
    ratio = found["sd"].to_numpy() / np.sqrt(np.diag(cov))
    if np.abs(off).max() > 6 or np.abs(ratio - 1).max() > 0.16:
        raise Insane(f"the posterior is {expected} ± {np.sqrt(np.diag(cov))}\n{found}")


def restricted(rng, folder):
    """A random intercept by REML, against the criterion of a dense covariance matrix."""
    n, levels = int(rng.integers(12, 40)), int(rng.integers(3, 7))
    g = np.resize(np.arange(levels), n)
    x = rng.normal(size=n) * 10.0 ** rng.integers(-3, 4) + rng.choice([0.0, 100.0])
    y = rng.normal() + rng.normal(size=levels)[g] * rng.choice([0.3, 1, 5]) + rng.normal(size=n)
    estimate = pp.fit("y ~ x + (1 | g)", {"y": y, "x": x, "g": g}, method="reml")
    X = np.column_stack([np.ones(n), (x - x.mean()) / x.std()])
    same_level = (g[:, None] == g[None, :]).astype(float)

    def criterion(log_ratio):
        """Minus twice the restricted log likelihood, sigma profiled out."""
        V = np.eye(n) + math.exp(2 * log_ratio) * same_level
        W = np.linalg.solve(V, X)
        information = X.T @ W
        b = np.linalg.solve(information, W.T @ y)
        rest = y - X @ b
        free = n - 2
        variance = rest @ np.linalg.solve(V, rest) / free
        logs = np.linalg.slogdet(V)[1] + np.linalg.slogdet(information)[1]
        return logs + free * (1 + math.log(2 * math.pi * variance)), math.sqrt(variance)

    grid = np.linspace(-12, 5, 171)
    values = [criterion(at)[0] for at in grid]
    k = int(np.argmin(values))
    near = (grid[max(k - 1, 0)], grid[min(k + 1, 170)])
    best = optimize.minimize_scalar(lambda at: criterion(at)[0], bounds=near, method="bounded",
                                    options={"xatol": 1e-10})  # fmt: skip
    sigma = criterion(best.x)[1]
    found = estimate.summary()["estimate"]
    sd = found["sd_g[Intercept]"]
    expected = sigma * math.exp(best.x)
    if abs(found["sigma"] - sigma) > 1e-4 * sigma or abs(sd - expected) > 2e-3 * sigma:
        raise Insane(f"REML is sd {expected}, sigma {sigma}\n{estimate}")


def conditional(rng, folder):
    """Group means given (nearly) known sds: the best linear predictor by hand."""
    levels, sd, sigma = int(rng.integers(3, 8)), float(rng.lognormal()), float(rng.lognormal())
    g = rng.integers(0, levels, 30)
    g[:levels] = np.arange(levels)
    y = 2 + sd * rng.normal(size=levels)[g] + sigma * rng.normal(size=30)
    own = {
        "b": pp.Normal(2, 1e-6),
        "sd_g": pp.Uniform(sd * 0.999, sd * 1.001),
        "sigma": pp.Uniform(sigma * 0.999, sigma * 1.001),
    }
    fit = pp.fit("y ~ 1 + (1 | g)", {"y": y, "g": g}, priors=own, seed=1, draws=100, chains=2)
    counts = np.bincount(g)
    share = counts * sd**2 / (counts * sd**2 + sigma**2)
    expected = 2 + share * (np.bincount(g, y) / counts - 2)
    found = fit.coefficients()["mean"].to_numpy()
    spread = sd * np.sqrt(1 - share)
    if np.abs((found - expected) / spread).max() > 0.05:
        raise Insane(f"level means are {expected}\n{fit.coefficients()}")
    z = stats.norm.ppf(0.975) * spread
    lower = fit.coefficients()["lower"].to_numpy()
    if np.abs((expected - z - lower) / spread).max() > 0.6:
        raise Insane(f"lower ends are {expected - z}\n{fit.coefficients()}")


# Kinds with their share of the inputs; those that may take the process down run in a child.
KINDS = {
    fits: 0.26, formulas: 0.2, odd_options: 0.12, odd_arguments: 0.12, priors: 0.1, commands: 0.05,
    files: 0.05, damaged: 0.06, conjugate: 0.015, restricted: 0.015, conditional: 0.01,
}  # fmt: skip
RISKY = (damaged,)
