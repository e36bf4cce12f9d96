"""Write one table of ``scale.py``: ``scale_data.py ROWS GROUPS OUT.parquet [--csv OUT.csv]``.

Piece by piece, so that memory does not depend on the number of rows. Each group has the same
number of rows, give or take one, and neighbouring rows are of other groups, far apart in memory.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from scale_cases import TRUTH

SEED = 20_240_507
PIECE = 2**20  # rows of a row group
GOLDEN = 0.618_033_988_749_895


def coefficients(groups: int) -> np.ndarray:
    """Return each group's intercept and slope, (2, groups)."""
    z = np.random.default_rng([SEED, groups]).normal(size=(2, groups))
    cor = TRUTH["cor_id[Intercept,x]"]
    intercept = TRUTH["b[Intercept]"] + TRUTH["sd_id[Intercept]"] * z[0]
    mixed = cor * z[0] + math.sqrt(1 - cor**2) * z[1]
    return np.stack([intercept, TRUTH["b[x]"] + TRUTH["sd_id[x]"] * mixed])


def group_of(row: np.ndarray, groups: int) -> np.ndarray:
    """Return the groups of rows: a step of about 0.618 of all, from another start each round."""
    step = next(s for s in range(int(GOLDEN * groups), groups + 1) if math.gcd(s, groups) == 1)
    return (row % groups * step + row // groups * 7919) % groups


def piece(start: int, stop: int, groups: int, coef: np.ndarray) -> pa.Table:
    rng = np.random.default_rng([SEED, groups, start])
    id_ = group_of(np.arange(start, stop), groups)
    x = rng.normal(size=id_.size)
    y = coef[0, id_] + coef[1, id_] * x + TRUTH["sigma"] * rng.normal(size=id_.size)
    return pa.table({"id": id_, "x": x, "y": y})


def write(rows: int, groups: int, path: Path) -> None:
    coef = coefficients(groups)
    schema = pa.schema([("id", pa.int64()), ("x", pa.float64()), ("y", pa.float64())])
    partial = path.with_suffix(".partial")
    with pa.parquet.ParquetWriter(partial, schema) as writer:
        for start in range(0, rows, PIECE):
            writer.write_table(piece(start, min(start + PIECE, rows), groups, coef))
    partial.replace(path)


def write_csv(parquet: Path, path: Path) -> None:
    """Write the same as text, for R."""
    file = pa.parquet.ParquetFile(parquet)
    partial = path.with_suffix(".partial")
    with pa.csv.CSVWriter(partial, file.schema_arrow) as writer:
        for batch in file.iter_batches():
            writer.write_batch(batch)
    partial.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int)
    parser.add_argument("groups", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    options.out.parent.mkdir(exist_ok=True)
    made = Path(__file__).stat().st_mtime
    if not options.out.exists() or options.out.stat().st_mtime < made:
        write(options.rows, options.groups, options.out)
    if options.csv and not (options.csv.exists() and options.csv.stat().st_mtime >= made):
        write_csv(options.out, options.csv)


if __name__ == "__main__":
    main()
