"""Cases of families that are not Gaussian, beside programs that estimate points."""

from dataclasses import dataclass

from marks import PEERS, Mark, Peer
from simulated import ANSWERS, MAXIMAL, POISSON, RATINGS, VISITS, Table


@dataclass(frozen=True)
class FamilyCase:
    name: str
    data: Table
    formula: str
    factors: tuple[str, ...]
    family: str
    ess: int  #: effective draws of every parameter, in bulk and tails, until which chains go on
    marks: tuple[Mark, ...] = ()  #: of "nuts", until enough are effective, "laplace" or "ml"
    peers: tuple[Peer, ...] = PEERS


_POINTS = (Mark("ml", 3, of="glmm"), Mark("laplace", 3, of="glmm"))
_MAIN = " + ".join(f"x{k}" for k in range(1, 9))
_CROSSED = "(1 | person) + (1 | item)"
# glmm has no `^`.
_PAIRS = " + ".join(f"x{j}:x{k}" for k in range(1, 9) for j in range(1, k))

FAMILY_CASES = {
    case.name: case
    for case in [
        FamilyCase(
            name="answers",
            data=ANSWERS,
            formula=f"y ~ {_MAIN} + {_CROSSED}",
            factors=("person", "item"),
            family="bernoulli",
            ess=1000,
            marks=(Mark("nuts", 1.0), *_POINTS),
        ),
        FamilyCase(
            name="answers-pairs",
            data=ANSWERS,
            formula=f"y ~ {_MAIN} + {_PAIRS} + {_CROSSED}",
            factors=("person", "item"),
            family="bernoulli",
            ess=1000,
            marks=(Mark("nuts", 5.0), *_POINTS),
        ),
        FamilyCase(
            name="visits",
            data=VISITS,
            formula="y ~ x + (x | site)",
            factors=("site",),
            family="bernoulli",
            ess=400,
            marks=(Mark("nuts", 10.0), *_POINTS),
        ),
        FamilyCase(
            name="maximal",
            data=MAXIMAL,
            formula="y ~ kind + (kind | person) + (kind | item)",
            factors=("person", "item"),
            family="bernoulli",
            ess=400,
            marks=(Mark("nuts", 1, of="lme4"), *_POINTS),
        ),
        FamilyCase(
            name="counts",
            data=POISSON,
            formula="y ~ x + (1 | a) + (1 | b)",
            factors=("a", "b"),
            family="poisson",
            ess=1000,
            marks=_POINTS,
        ),
        FamilyCase(
            name="ratings",
            data=RATINGS,
            formula="y ~ x + (1 | judge)",
            factors=("judge",),
            family="cumulative",
            ess=400,
            marks=(Mark("nuts", 3.0),),
            peers=(),  # neither has ordered categories
        ),
    ]
}
