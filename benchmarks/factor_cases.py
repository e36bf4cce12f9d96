"""Cases beside programs that estimate points: Gaussian models with one to three factors."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from cases import DATASETS
from marks import PEERS, Mark, Peer
from simulated import MANY_LEVELS, SCHOOL_PANEL, SCHOOL_SLOPES, THREE_FACTORS, Table

HERE = Path(__file__).parent
MEASUREMENTS = HERE / "data"
#: 73,421 lecture ratings of R's lme4, which this repository does not hold.
INSTEVAL = Path(os.environ.get("INSTEVAL", HERE.parents[1] / "shared" / "data" / "InstEval.csv"))


@dataclass(frozen=True)
class FactorCase:
    name: str
    shape: str  #: what of the design an evaluation of the density depends on
    data: Path | Table
    formula: str
    factors: tuple[str, ...]  #: columns that are categories, whatever they look like
    marks: tuple[Mark, ...] = ()  #: of what ``factor_ours.py`` prints
    peers: tuple[Peer, ...] = PEERS
    rows_per_level: int | None = None  #: made in memory, with so many; peers read a file

    @property
    def path(self) -> Path:
        return self.data.path if isinstance(self.data, Table) else self.data


_LEVELS = FactorCase(
    name="levels-10",
    shape="one factor, slopes",
    data=MANY_LEVELS,
    formula="y ~ x + (x | id)",
    factors=("id",),
)

FACTOR_CASES = {
    case.name: case
    for case in [
        FactorCase(
            name="individuals",
            shape="one factor",
            data=DATASETS / "individuals.csv",
            formula="y ~ x + (x || id)",
            factors=("id",),
            marks=(Mark("fit", 0.010), Mark("process", 0.3)),
            peers=("lme4",),  # glmm has no `||`
        ),
        FactorCase(
            name="penicillin",
            shape="two crossed",
            data=MEASUREMENTS / "penicillin.csv",
            formula="diameter ~ 1 + (1 | plate) + (1 | sample)",
            factors=("plate", "sample"),
            marks=(Mark("fit", 0.030),),
        ),
        FactorCase(
            name="pastes",
            shape="two nested",
            data=MEASUREMENTS / "pastes.csv",
            formula="strength ~ 1 + (1 | batch) + (1 | batch:cask)",
            factors=("batch", "cask"),
            marks=(Mark("fit", 0.030),),
        ),
        FactorCase(
            name="school",
            shape="two crossed",
            data=SCHOOL_PANEL,
            formula="math ~ year * size + female + (1 | child) + (1 | school)",
            factors=("child", "school"),
            marks=(Mark("fit", 0.5),),
        ),
        FactorCase(
            name="school-slopes",
            shape="two crossed, slopes in both",
            data=SCHOOL_SLOPES,
            formula="math ~ year + female + (year | child) + (year | school)",
            factors=("child", "school"),
        ),
        FactorCase(
            name="three-factors",
            shape="three crossed",
            data=THREE_FACTORS,
            formula="mark ~ lesson + (1 | pupil) + (1 | teacher) + (1 | school)",
            factors=("pupil", "teacher", "school"),
        ),
        FactorCase(
            name="insteval",
            shape="three crossed",
            data=INSTEVAL,
            formula="y ~ 1 + service + (1 | s) + (1 | d) + (1 | dept)",
            factors=("s", "d", "dept"),
            marks=(Mark("full", 1, of="lme4"), Mark("full", 2, of="glmm"), Mark("gigabytes", 1.0)),
        ),
        _LEVELS,
        replace(
            _LEVELS,
            name="levels-100",
            peers=(),
            rows_per_level=100,
            marks=(Mark("after_rows", 1.0),),
        ),
    ]
}
