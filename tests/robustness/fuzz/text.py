"""Random formulas, priors and options: sensible, nearly sensible, and nonsense."""

import math

import numpy as np

import partialpool as pp

FAMILIES = ["gaussian"] * 6 + ["student_t", "lognormal", "gamma", "exponential", "weibull", "beta"]
FAMILIES += ["bernoulli"] * 2 + ["binomial", "cumulative", "poisson", "poisson", "negbinomial"]
FAMILIES += ["zero_inflated_poisson", "hurdle_negbinomial"]

NOISE = list("+-*/:|()~^ {}[]`'\",.0123456789xyg=<>!@#$%&\\;é\n\0")


def quoted(name):
    """A name as a formula takes it."""
    return name if name.isidentifier() and name != "C" else f"`{name}`"


def term(rng, x, z, g):
    x, z, g = quoted(x), quoted(z), quoted(g)
    made = [x, z, g, f"{x}:{z}", f"{x}*{g}", f"scale({x})", f"center({x})", f"{{{x}**2}}"]
    made += [f"log({x})", f"C({g})", f"poly({x}, 2)", f"I({x} > 0)", f"np.exp({x})", f"{x} + {x}"]
    made += [f"bs({x}, df=4)", f"C({g}, contr.sum)", f"factor({g})", f"I({x}^2)", f"({x} + {z})**2"]
    return str(rng.choice(made))


def formula(rng, numbers, groups):
    """A formula in the columns of a table."""
    x, z = rng.permutation(numbers)
    g, h = (quoted(name) for name in rng.permutation(groups))
    parts = ["1", "0", *[term(rng, x, z, groups[0]) for _ in range(3)]]
    fixed = " + ".join(rng.permutation(parts)[: rng.integers(1, 4)])
    slope = quoted(x)
    grouped = [
        "",
        "",
        f"(1 | {g})",
        f"({slope} | {g})",
        f"({slope} || {g})",
        f"(0 + {slope} | {g})",
    ]
    grouped += [f"(1 | {g} / {h})", f"(1 | {g}) + (1 | {h})", f"(1 | {g}:{h})"]
    random = str(rng.choice(grouped))
    return f"y ~ {fixed}" + (f" + {random}" if random else "")


def mutated(rng, text):
    """A text with a few characters changed, doubled, dropped or swapped."""
    letters = list(text)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, len(letters) + 1))
        kind = rng.integers(4)
        if kind == 0:
            letters.insert(at, str(rng.choice(NOISE)))
        elif letters and at < len(letters):
            if kind == 1:
                del letters[at]
            elif kind == 2:
                letters[at] = str(rng.choice(NOISE))
            else:
                other = int(rng.integers(len(letters)))
                letters[at], letters[other] = letters[other], letters[at]
    return "".join(letters)


PRIORS = [
    "normal(0, 1)", "normal(0,10)", "exponential(1)", "uniform(0, 10)", "uniform(-5, 5)", "flat()",
    "half_normal(1)", "student_t(3, 0, 1)", "cauchy(0, 1)", "gamma(2, 0.1)", "lkj(2)",
    "inverse_gamma(0.001, 0.001)", "lognormal(0, 1)", "half_cauchy(2)", "half_student_t(3, 0, 1)",
]  # fmt: skip
KEYS = ["b", "b[x]", "b[Intercept]", "sd_g", "sd_g[x]", "sigma", "cor_g", "coef_g", "shape", "nu"]


def prior(rng):
    """A prior: text, or an object, in or out of its senses."""
    text = str(rng.choice(PRIORS))
    if rng.random() < 0.15:
        return mutated(rng, text)
    if rng.random() < 0.5:
        return text
    a, b = (float(x) for x in rng.choice([0, 1, 2, 0.5, -1, 10, 1e-3, math.nan, math.inf], 2))
    kind = str(rng.choice(["Normal", "Uniform", "Exponential", "HalfNormal", "Gamma", "Cauchy"]))
    one = kind in ("Exponential", "HalfNormal")
    try:
        return getattr(pp, kind)(*([a] if one else [a, b]))
    except pp.InputError:
        return text


ODD = [0, -1, 1.5, "3", None, True, math.nan, math.inf, 10**20, -(10**30), [], {}, "", b"x", 1e-300]
ODD += [np.int64(3), np.float64(0.5), np.array([1, 2]), (1,), object, lambda: 1, "é" * 300, 2**63]
OPTIONS = [
    "chains",
    "draws",
    "warmup",
    "seed",
    "interval",
    "proposal_sd",
    "threads",
    "family",
    "link",
]
OPTIONS += ["pooling", "method", "sigma", "se", "weights", "offset", "exposure", "trials", "priors"]
OPTIONS += ["start", "progress"]


def odd_option(rng):
    """An option of `fit` with a value that it may or may not take."""
    name = str(rng.choice(OPTIONS))
    return name, ODD[int(rng.integers(len(ODD)))]
