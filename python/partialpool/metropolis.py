"""Random-walk Metropolis, the simplest sampler: Markov chain Monte Carlo on one page.

Given any function that computes the log of a density, up to a constant, the sampler walks through
the space of parameters so that it spends time in each region in proportion to its probability.
The places it visits are draws from the density. `walk` is the whole algorithm. The rest of the
page checks what the user gave, starts the chains, and says whether they can be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from partialpool.arrays import Array
from partialpool.checks import check_counts, check_interval, check_seed
from partialpool.draws.summary import Summary, summarise
from partialpool.errors import InputError, did_you_mean, shown
from partialpool.memory import check_memory
from partialpool.progress import Progress, Work

if TYPE_CHECKING:
    import pandas as pd

Values = dict[str, Any]  # a value of every parameter: a float or an array
LogDensity = Callable[[Values], float]


def walk(
    log_density: LogDensity, here: Values, proposal_sd: Values, rng: np.random.Generator
) -> Iterator[tuple[Values, float, bool]]:
    """Walk for ever; after each step give the position, its log density, whether it moved."""
    density_here = log_density(here)
    while True:
        # Propose a place nearby: every parameter takes a normal step.
        there = {name: _step(value, proposal_sd[name], rng) for name, value in here.items()}
        density_there = log_density(there)
        # Go if it is better there. If it is worse, go with probability p(there) / p(here).
        # log(u) < log p(there) − log p(here), u uniform on (0, 1], says both at once.
        accept = math.log(1 - rng.random()) < density_there - density_here
        if accept:
            here, density_here = there, density_there
        # After a refusal the old place counts once more: that is what makes the shares right.
        yield here, density_here, accept


def _step(value: Any, sd: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, float):
        return value + sd * rng.standard_normal()
    moved = value + sd * rng.standard_normal(value.shape)
    moved.flags.writeable = False  # a log density that changed it would spoil the walk
    return moved


def metropolis(
    log_density: LogDensity,
    start: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Callable[..., Mapping[str, Any]],
    *,
    draws: int,
    proposal_sd: Any,
    seed: int | None = None,
    chains: int = 1,
    warmup: int = 0,
    progress: bool | None = None,
) -> MetropolisRun:
    """Sample any log density by random-walk Metropolis.

    Parameters
    ----------
    log_density : callable
        Takes a dict with a float or array for each parameter; returns the log density, up to a
        constant, as one number; ``-inf`` outside the support.
    start : dict, list of dicts, or callable
        Where the chains start: one place for all, one for each, or a function that draws one
        with the random generator it is given. Several chains from different places show best
        whether the draws can be trusted.
    draws, warmup : int
        Draws to keep of each chain, and draws before them to drop.
    proposal_sd : float or dict
        Standard deviation of the steps: one for all, or one (number or array) for each parameter.
        Good ones let some 20 to 50% of the proposals be accepted.
    seed : int, optional
        Same seed, same draws. By default a random one, which the run keeps.
    chains : int
        Number of chains.
    progress : bool, optional
        Show progress on stderr; by default in a terminal, on runs longer than a second.

    Returns
    -------
    MetropolisRun

    Raises
    ------
    InputError
        If an argument cannot be used, if the log density fails, or if no proposal of a chain
        (out of at least 100) is accepted; the message says what to do.

    Examples
    --------
    >>> def log_density(at):  # normal with mean 3 and sd 1
    ...     return -0.5 * (at["x"] - 3) ** 2
    >>> run = metropolis(log_density, {"x": 0.0}, draws=20_000, proposal_sd=2.4, seed=1)
    >>> run.summary().loc["x", ["mean", "sd"]].round(1).tolist()
    [3.0, 1.0]
    """
    if not callable(log_density):
        raise InputError("`log_density` cannot be called", remedy="give a function of a dict")
    check_counts(draws=draws, warmup=warmup, chains=chains)
    seed = check_seed(seed)
    rngs = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(chains)]
    starts = _starts(start, rngs)
    sds = _proposal_sds(proposal_sd, starts[0])

    width = 1 + sum(np.size(value) for value in starts[0].values())
    check_memory(chains * draws, width, what="numbers", copies=1.1)
    kept = {name: np.empty((chains, draws, *np.shape(v))) for name, v in starts[0].items()}
    densities, accepted = np.empty((chains, draws)), np.zeros(chains)
    steps = warmup + draws
    done = [0] * chains
    with Progress(Work(chains * steps, chains=chains, warmup=warmup), progress) as bar:
        for chain in range(chains):
            checked = _Checked(log_density, chain + 1)
            path = walk(checked, starts[chain], sds, rngs[chain])
            for step, (position, density, accept) in zip(range(steps), path, strict=False):
                accepted[chain] += accept
                if step >= warmup:
                    densities[chain, step - warmup] = density
                    for name, value in position.items():
                        kept[name][chain, step - warmup] = value
                done[chain] = step + 1
                if step % 100 == 0 or done[chain] == steps:
                    bar.update(done)
            if steps >= 100 and not accepted[chain]:
                raise InputError(
                    f"chain {chain + 1} never accepted any of its {steps} proposals",
                    remedy="make `proposal_sd` smaller",
                )
    return MetropolisRun(kept, accepted / steps, densities, seed, warmup)


class MetropolisRun(Struct, frozen=True, eq=False):
    """Draws of `metropolis`, and how the walk went.

    Attributes
    ----------
    draws : dict of (chain, draw, …) arrays
        Kept draws of each parameter.
    acceptance_rate : (chain,) array
        Share of accepted proposals of each chain, those of the warm-up included.
    log_density : (chain, draw) array
        Log density at every kept draw.
    seed, warmup : int
        Seed, and number of draws dropped from the beginning of each chain.
    """

    draws: dict[str, Array]
    acceptance_rate: Array
    log_density: Array
    seed: int
    warmup: int

    def summary(self, interval: float = 0.95) -> pd.DataFrame:
        """Give mean, sd, equal-tailed interval, mcse, ESS and R-hat: a row a parameter.

        Parameters
        ----------
        interval : float
            Probability of the interval.
        """
        check_interval(interval)
        return self._summarise(interval).to_frame()

    def _summarise(self, interval: float = 0.95) -> Summary:
        labels, columns = [], []
        for name, values in self.draws.items():
            places = np.ndindex(values.shape[2:])
            labels += [f"{name}[{','.join(map(str, k))}]" if k else name for k in places]
            columns.append(values.reshape(*values.shape[:2], -1))
        return summarise(labels, columns, interval)

    def __repr__(self) -> str:
        chains, draws = self.log_density.shape
        rates = ", ".join(f"{100 * rate:.3g}%" for rate in self.acceptance_rate)
        text = (
            f"Metropolis run of {', '.join(self.draws)}: {chains} chain{'s' * (chains > 1)} × "
            f"{draws} draws after {self.warmup} of warm-up, seed {self.seed}\n"
            f"accepted: {rates} of the proposals\n"
        )
        found = self._summarise()
        ess = np.fmin(found.values["ess_bulk"], found.values["ess_tail"])
        if np.isnan(r_hat := found.values["r_hat"]).any():
            return f"{text}Too few different draws to judge convergence: ask for more."
        few, far = int(np.argmin(ess)), int(np.argmax(r_hat))
        text += (
            f"smallest effective sample size: {ess[few]:{'.0f' if ess[few] > 10 else '.1f'}} "
            f"({found.labels[few]})\nlargest R-hat: {r_hat[far]:.3f} ({found.labels[far]})"
        )
        if r_hat[far] <= 1.01 and ess[few] >= 400:
            return text
        rate = self.acceptance_rate.mean()
        step = "a smaller" if rate < 0.2 else "a larger" if rate > 0.5 else "another"
        return (
            f"{text}\nThis run has not converged: R-hat should be at most 1.01 and the effective "
            f"sample size at least 400.\nAsk for more draws, or try {step} proposal_sd."
        )


class _Checked:
    """The user's log density; its failures become sentences that say where."""

    def __init__(self, log_density: LogDensity, chain: int) -> None:
        self._log_density, self._chain, self._calls = log_density, chain, 0

    def __call__(self, at: Values) -> float:
        try:
            value = self._log_density(dict(at))
        except Exception as error:
            raised = f"raised {type(error).__name__}" + f" ({error})" * bool(str(error))
            raise self._error(at, raised, "return -inf outside the support") from error
        if not isinstance(value, float):
            number = _real(value)
            if number is None or number.ndim:
                what = repr(value) if number is None else f"an array of shape {number.shape}"
                raise self._error(at, f"returned {what}", "return one number, such as the sum")
            value = number
        value = float(value)
        if math.isnan(value) or value == math.inf:
            remedy = "return a finite number, or -inf outside the support"
            raise self._error(at, f"returned {value}", remedy)
        if value == -math.inf and self._calls == 0:
            raise self._error(at, "is -inf", "start inside the support")
        self._calls += 1
        return value

    def _error(self, at: Values, what: str, remedy: str) -> InputError:
        when = f"at proposal {self._calls}" if self._calls else "at the start"
        values = ", ".join(f"{name} = {_show(value)}" for name, value in at.items())
        where = f"{when} of chain {self._chain}, where {values}"
        return InputError(f"the log density {what}", where=where, remedy=remedy)


def _show(value: Any) -> str:
    return " ".join(np.array2string(np.asarray(value), precision=4, threshold=8).split())


def _real(value: Any) -> Array | None:
    """Copy real numbers to a float array; None for anything else."""
    try:
        array = np.asarray(value)
    except ValueError:  # nested lists of unequal lengths
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None


def _value(what: str, given: Any) -> Any:
    """Copy what was given to a float, or to a read-only array of floats."""
    array = _real(given)
    if array is None:
        raise InputError(f"{what} is not a number or an array of numbers")
    if not array.size or not np.isfinite(array).all():
        raise InputError(f"{what} is {_show(array)}", remedy="give finite numbers")
    array.flags.writeable = False
    return array if array.ndim else float(array)


def _starts(start: Any, rngs: list[np.random.Generator]) -> list[Values]:
    """One checked starting place for each chain, all of the same names and shapes."""
    if callable(start):
        start = [start(rng) for rng in rngs]
    elif not isinstance(start, (list, tuple)):
        start = [start] * len(rngs)
    if len(start) != len(rngs):
        raise InputError(
            f"`start` has length {len(start)}, `chains` is {len(rngs)}",
            remedy="give one dict for each chain",
        )
    for place in start:
        if not isinstance(place, Mapping) or not place or not all(type(n) is str for n in place):
            raise InputError(f"`start` is {shown(place)}", remedy="give a dict such as {'x': 0.0}")
    starts = [{n: _value(f"`start` of `{n}`", v) for n, v in place.items()} for place in start]
    shapes = [{name: np.shape(value) for name, value in place.items()} for place in starts]
    if any(shape != shapes[0] for shape in shapes):
        raise InputError("the chains start with different parameters or shapes in `start`")
    return starts


def _proposal_sds(given: Any, start: Values) -> Values:
    """A checked standard deviation, a number or an array, for every parameter."""
    if not isinstance(given, Mapping):
        given = dict.fromkeys(start, given)
    if unknown := [name for name in given if name not in start]:
        raise InputError(
            f"`proposal_sd` names `{unknown[0]}`, which `start` does not have",
            remedy=did_you_mean(str(unknown[0]), start),
        )
    if missing := [f"`{name}`" for name in start if name not in given]:
        raise InputError(f"`proposal_sd` lacks {', '.join(missing)}", remedy="add a number for it")
    sds = {name: _value(f"`proposal_sd` of `{name}`", given[name]) for name in start}
    for name, sd in sds.items():
        if np.min(sd) <= 0:
            raise InputError(
                f"`proposal_sd` of `{name}` is {_show(sd)}", remedy="give a positive number"
            )
        if np.ndim(sd) and np.shape(sd) != np.shape(start[name]):
            raise InputError(
                f"`proposal_sd` of `{name}` has shape {np.shape(sd)}, the parameter "
                f"{np.shape(start[name])}",
                remedy="give a number, or an array of the same shape",
            )
    return sds
