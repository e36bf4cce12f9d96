"""From a sampler in the core to chains that can be used, some of them failed or interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from partialpool import _core
from partialpool.arrays import Array
from partialpool.engine.rounds import Verdict, most_draws
from partialpool.engine.run import Certificate
from partialpool.engine.sampling import Sampling
from partialpool.errors import EngineError, InputError
from partialpool.memory import check_memory
from partialpool.progress import Progress, Work

# From outputs and facts of a run so far to what it is worth.
Worth = Callable[[Array, dict[str, Any]], Verdict]

STATISTICS = 4  # numbers of the sampler that are kept of every draw
SUMMARY = 12  # numbers a draw, while a parameter is summarised


class Chains(Struct, frozen=True):
    """Chains that can be used, the draws that all of them have, and why others failed."""

    good: list[dict[str, Any]]
    kept: int
    failures: tuple[str, ...]
    interrupted: bool

    def take(self, name: str) -> NDArray[Any]:
        """What every draw has under a name: (chain, draw, …). The chains give it up one by one.

        So there are never two copies of all draws.
        """
        first = self.good[0][name]
        taken = np.empty((len(self.good), self.kept, *first.shape[1:]), first.dtype)
        del first
        for k, chain in enumerate(self.good):
            taken[k] = chain.pop(name)[: self.kept]
        return taken


def check_draws(sampling: Sampling, width: int, population: int) -> None:
    """Refuse more draws than this machine can hold.

    `width` parameters are drawn, `population` of which are no coefficients of levels. At the peak
    there is one copy of all draws with the sampler's statistics, another of one chain, and two of
    the population's parameters while these are summarised.
    """
    drawn = (width + STATISTICS) * (1 + 1 / sampling.chains)
    if sampling.rounds is not None:
        drawn += 2 * width  # what is judged while they go on
    shown = max(width, 1)  # `y ~ 0` with known errors has no parameter
    total = sampling.chains * sampling.draws
    check_memory(total, shown, copies=(drawn + 2 * population + SUMMARY) / shown)


def progress_of(sampling: Sampling) -> Progress:
    """Give what shows how far the chains are."""
    return Progress(work_of(sampling, sampling.draws), sampling.progress)


def work_of(sampling: Sampling, draws: int) -> Work:
    """Give what is to be done for so many draws of each chain."""
    return Work(
        sampling.chains * (draws + sampling.warmup),
        chains=sampling.chains,
        warmup=sampling.warmup,
        # In rounds, all chains wait for one another.
        at_once=min(sampling.threads, sampling.chains) if sampling.rounds is None else 0,
    )


def fits(sampling: Sampling, width: int, population: int) -> bool:
    """Tell whether this machine can hold so many draws."""
    try:
        check_draws(sampling, width, population)
    except InputError:
        return False
    return True


def usable_chains(raw: dict[str, Any]) -> Chains:
    """Sort what the core returned.

    Raises
    ------
    EngineError
        If no chain could be run.
    KeyboardInterrupt
        If interrupted before anything worth keeping was drawn.
    """
    good = [chain for chain in raw["chains"] if chain["failure"] is None]
    # One line each: what follows are stacks, where the environment asks for them.
    reasons = (c["failure"] for c in raw["chains"] if c["failure"] is not None)
    failures = tuple(str(reason).partition("\n")[0] for reason in reasons)
    if not good:
        raise EngineError(f"no chain could be sampled: {failures[0].rstrip('.')}.")
    if raw["interrupted"]:
        # Chains that hardly began would cost all others most of their draws.
        longest = max(len(c["outputs"]) for c in good)
        good = [c for c in good if len(c["outputs"]) >= max(4, longest // 2)]
        if not good:
            raise KeyboardInterrupt
    kept = min(len(c["outputs"]) for c in good)
    return Chains(good, kept, failures, bool(raw["interrupted"]))


def sample_nuts(
    core: _core.Marginal | _core.General | _core.Approximation,
    sampling: Sampling,
    worth: Worth,
    *,
    levels: int = 0,
    later: int = 0,
) -> tuple[Array, dict[str, Any]]:
    """Run NUTS on a density of the core, whose draws have so many coefficients of levels.

    So many more are drawn `later`.

    `worth` judges outputs and facts, as they are returned, between rounds.

    Returns
    -------
    outputs : (chain, draw, …) array
        Rows as the density gives them.
    facts : dict
        All that a ``Run`` says of the sampling but its name.

    Raises
    ------
    InputError
        If the draws do not fit into memory.
    EngineError
        If no chain could be run.
    KeyboardInterrupt
        If interrupted before anything worth keeping was drawn.
    """
    sizes = core.n_outputs + later, core.n_outputs - levels
    most = sampling.draws
    if sampling.rounds is not None:
        most = most_draws(lambda draws: fits(replace(sampling, draws=draws), *sizes))
        sampling = replace(sampling, draws=min(sampling.draws, most))
    check_draws(sampling, *sizes)
    began = time.perf_counter()
    with progress_of(sampling) as bar:
        raw = core.sample(
            asked=sampling,
            progress=bar.update,
            judge=_judge(sampling, worth, bar, most) if sampling.rounds is not None else None,
        )
        if not raw["interrupted"]:
            bar.finish([int(np.sum(chain["diverging"])) for chain in raw["chains"]])
    seconds = time.perf_counter() - began
    usable = usable_chains(raw)
    found = raw.get("design")
    certificate = None if found is None else Certificate(**found)
    del raw
    warm = sum(chain["warmup_seconds"] for chain in usable.good)
    busy = warm + sum(chain["sampling_seconds"] for chain in usable.good)
    outputs = usable.take("outputs")
    stats = {"lp": usable.take("logp")}
    walks = certificate is None
    warmups = tuple(chain["warmup"] for chain in usable.good) if walks else ()
    if walks:
        of_walks = {"diverging": "diverging", "energy": "energy", "tree_depth": "depth"}
        stats |= {name: usable.take(key) for name, key in of_walks.items()}
    return outputs, {
        "seed": sampling.seed,
        "warmup": max(warmups) if walks else sampling.warmup if sampling.warmup_given else 0,
        "warmups": warmups,
        "stats": stats,
        "step_size": tuple(chain["step_size"] for chain in usable.good) if walks else (),
        "certificate": certificate,
        "failures": usable.failures,
        "interrupted": usable.interrupted,
        "seconds_warmup": seconds * warm / busy if busy else 0.0,
        "seconds_sampling": seconds,
    }


def _judge(
    sampling: Sampling, worth: Worth, bar: Progress, most: int
) -> Callable[[list[Array]], int]:
    """Give what tells chains between rounds how many draws to go on to."""

    def judge(outputs: list[Array]) -> int:
        assert sampling.rounds is not None
        facts = {"seed": sampling.seed, "warmup": sampling.warmup, "stats": {}}
        found = worth(np.stack(outputs), facts)
        until = sampling.rounds.until(len(outputs[0]), found, most)
        bar.expect(work_of(sampling, until))
        return until

    return judge
