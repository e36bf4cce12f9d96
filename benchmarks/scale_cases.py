"""Sizes of the tables of ``scale.py``, the programs that meet them, and the marks to be reached."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HERE = Path(__file__).parent
CACHE = HERE / ".data"
US = "partialpool"
FORMULA = "y ~ x + (x | id)"
LEAST = 10  #: rows a group: pairs of sizes with fewer are left out

#: What made the tables: several rounds of all groups, each in an order that no cache likes.
TRUTH = {
    "b[Intercept]": 2.0,
    "b[x]": -2.0,
    "sd_id[Intercept]": 1.0,
    "sd_id[x]": 0.5,
    "cor_id[Intercept,x]": 0.3,
    "sigma": 2.0,
}


@dataclass(frozen=True, order=True)
class Size:
    rows: int
    groups: int

    @property
    def name(self) -> str:
        return f"{_short(self.rows)} rows × {_short(self.groups)} groups"

    @property
    def path(self) -> Path:
        return CACHE / f"scale-{self.rows}-{self.groups}.parquet"

    def within(self, other: "Size") -> bool:
        """Whether neither rows nor groups are more than another's."""
        return self.rows <= other.rows and self.groups <= other.groups


def _short(count: int) -> str:
    exponent = len(str(count)) - 1
    digits = "⁰¹²³⁴⁵⁶⁷⁸⁹"
    if count == 10**exponent:
        return "10" + "".join(digits[int(k)] for k in str(exponent))
    return f"{count:,}"


#: For a laptop: rows at 10⁴ groups, groups at 10⁷ rows.
DEFAULT = (
    Size(10**5, 10**4),
    Size(10**6, 10**4),
    Size(10**7, 10**3),
    Size(10**7, 10**4),
    Size(10**7, 10**5),
    Size(10**7, 10**6),
)

# --- Programs -----------------------------------------------------------------------------------

POLARS, DUCKDB = "group-by, polars", "group-by, DuckDB"
FLOORS = (POLARS, DUCKDB)


@dataclass(frozen=True)
class Peer:
    """A program that estimates a point, from a table that is in memory before its clock starts."""

    script: str
    packages: tuple[str, ...]  #: into an environment of its own; none for R
    most_rows: int  #: more would not fit into the memory of a laptop, or end by any means
    note: str = ""


PEERS = {
    "glmm": Peer("glmm_reml.py", ("polars", "glmm"), 10**7),
    "lme4": Peer("lme4.R", (), 10**7),
    "GPBoost": Peer(
        "gpboost_ml.py", ("polars", "gpboost"), 10**7, "(x || id): it has no correlations"
    ),
    "statsmodels": Peer("statsmodels_mixed.py", ("polars", "statsmodels"), 10**7),
}

# --- Marks --------------------------------------------------------------------------------------

#: What of ours is judged: ``process`` from start to end, ``full`` without start and import.
Measure = Literal["process", "full", "gigabytes"]


@dataclass(frozen=True)
class Mark:
    """How much of a measure is to be reached: so many seconds or GB, or times another's."""

    measure: Measure
    at_most: float
    of: str | Size | None = None  #: a program at the same size, or ourselves at another
    theirs: Literal["process", "fit"] = "process"


BIG, HUGE, MANY = Size(10**7, 10**5), Size(10**8, 10**5), Size(10**7, 10**6)
MARKS: dict[Size, tuple[Mark, ...]] = {
    BIG: (
        Mark("process", 6, of=POLARS),
        Mark("full", 1, of="glmm", theirs="fit"),
        Mark("gigabytes", 1.0),
    ),
    HUGE: (Mark("process", 10, of=BIG), Mark("gigabytes", 1.0), Mark("gigabytes", 1.1, of=BIG)),
    MANY: (Mark("process", 5.0),),
}
