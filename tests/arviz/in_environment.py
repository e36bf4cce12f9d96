"""What is run in each environment: ArviZ's own functions on fits. Prints a line of JSON a case."""

import json
import sys
import traceback
import warnings

import numpy as np

import partialpool as pp


def several_groups():
    rng = np.random.default_rng(1)
    data = {
        "y": rng.normal(size=72) + np.repeat(rng.normal(size=6), 12),
        "x": rng.normal(size=72),
        "z": rng.normal(size=72),
        "Subject": np.resize([f"s{k}" for k in range(5)], 72),
        "day": np.repeat(range(1, 7), 12),
        "a/b": np.repeat(["p", "q", "r"], 24),
    }
    formula = "y ~ x + z + (x + z | Subject) + (1 + x | day) + (1 | `a/b`)"
    return pp.fit(formula, data, sigma="~ x + (1 | day)", draws=200, warmup=300, seed=1)


def counts():
    rng = np.random.default_rng(2)
    data = {"x": rng.normal(size=80), "g": np.resize(range(8), 80)}
    data["y"] = rng.poisson(np.exp(0.5 + 0.3 * data["x"] + rng.normal(size=8)[data["g"]]))
    return pp.fit("y ~ x + (1 | g)", data, family="poisson", draws=500, seed=1)


def radon():
    return pp.fit("log_radon ~ floor + (floor | county)", pp.datasets.radon(), draws=100, seed=1)


def schools():
    data = pp.datasets.eight_schools()
    return pp.fit("effect ~ 1 + (1 | school)", data, se="se", draws=300, seed=1)


def ratings():
    rng = np.random.default_rng(3)
    data = {"x": rng.normal(size=90), "row": rng.integers(1, 5, 90), "g": np.resize(range(6), 90)}
    return pp.fit("row ~ x + (1 | g)", data, family="cumulative", draws=200, warmup=300, seed=1)


FITS = (several_groups, counts, radon, schools, ratings)


def arviz():
    """ArviZ's functions by name, and how a tree becomes what they read."""
    try:
        import arviz as az
    except ImportError:
        az = None
    if az is not None and not az.__version__.startswith("0."):
        return {"arviz": (az, az, lambda tree: tree, "plot_ppc_dist")}
    import arviz_plots
    import arviz_stats

    return {
        "arviz": (az, az, az.InferenceData.from_datatree, "plot_ppc"),
        "arviz_stats and arviz_plots": (
            arviz_stats,
            arviz_plots,
            lambda tree: tree,
            "plot_ppc_dist",
        ),
    }


def check_labels(fit, stats, read):
    """Every row of ArviZ's summary is what we call so: labels are easily swapped."""
    found = stats.summary(read(fit.draws), round_to="none")
    means = {label.replace(", ", ","): float(mean) for label, mean in found["mean"].items()}
    kinds = [f"{kind}_{group.name}" for group in fit.model.groups for kind in ("r", "coef")]
    expected = dict(fit.summary()["mean"])
    for kind in kinds:
        expected |= dict(fit.summary(kind)["mean"])
    expected = {label.replace("a/b", "a_b"): mean for label, mean in expected.items()}
    assert set(means) == set(expected), set(means) ^ set(expected)
    for label, mean in expected.items():
        assert abs(means[label] - mean) < 1e-9, label


def check_loo(fit, stats, read):
    """That of ArviZ is ours where all parameters are reweighted; weights of tails differ a bit."""
    tree = read(fit.to_arviz(posterior_predictive=False))
    found = stats.loo(tree)
    elpd = getattr(found, "elpd_loo", None)
    elpd = found.elpd if elpd is None else elpd
    ours = fit.loo()
    tolerance = 0.1 if ours.method == "psis" else max(1.0, 0.05 * ours.se)
    assert abs(elpd - ours.elpd) < tolerance, (elpd, ours.elpd)


def check_groups(fit):
    """The tree holds what was observed, made and expected, row by row."""
    tree = fit.to_arviz(prior=50)
    name = fit.model.response
    name = "row_response" if name == "row" else name
    y = tree["observed_data"][name]
    np.testing.assert_array_equal(y, fit.design.y)
    np.testing.assert_array_equal(y["row"], fit.design.rows)
    shape = (fit.run.chains, fit.run.draws, len(y))
    for group in ("log_likelihood", "posterior_predictive"):
        assert tree[group][name].shape == shape
    assert tree["prior_predictive"][name].shape == (1, 50, len(y))
    assert set(tree["prior"].data_vars) == set(tree["posterior"].data_vars)
    few = fit.to_arviz(log_likelihood=False, posterior_predictive=False)
    assert set(few.children) == {"posterior", "sample_stats", "observed_data"}


def check_plots(fit, plots, read, predictive):
    tree = read(fit.to_arviz(prior=True))
    import matplotlib.pyplot as plt

    for name in ("plot_trace", "plot_forest"):
        getattr(plots, name)(tree, var_names=["b"])
        plt.close("all")
    getattr(plots, predictive)(tree, **{"num_pp_samples": 20} if predictive == "plot_ppc" else {})
    plt.close("all")


def cases():
    for make in FITS:
        fit = make()
        yield f"{make.__name__}: groups", lambda fit=fit: check_groups(fit)
        for package, (stats, plots, read, predictive) in arviz().items():
            name = f"{make.__name__}: {package}"
            parts = {
                "summary": lambda f=fit, s=stats, r=read: check_labels(f, s, r),
                "loo": lambda f=fit, s=stats, r=read: check_loo(f, s, r),
                "plots": lambda f=fit, p=plots, r=read, d=predictive: check_plots(f, p, r, d),
            }
            if make in (radon, schools):
                del parts["plots"]  # slow, and like the others
            for part, check in parts.items():
                yield f"{name} {part}", check


if __name__ == "__main__":
    import matplotlib

    matplotlib.use("agg")
    warnings.simplefilter("ignore")
    for case, check in cases():
        try:
            check()
            print(json.dumps({"case": case, "error": ""}), flush=True)
        except Exception:
            print(json.dumps({"case": case, "error": traceback.format_exc()}), flush=True)
    sys.exit(0)
