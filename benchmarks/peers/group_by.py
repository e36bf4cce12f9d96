"""The floor: the sums that a fit needs of each group, by a bare group-by, and nothing else.

``group_by.py polars|duckdb TABLE``
"""

import json
import sys
from importlib.metadata import version

COLUMNS = ("x", "y", "x * x", "x * y", "y * y")


def by_polars(path: str) -> int:
    import polars as pl

    sums = [pl.sql_expr(f"SUM({c})").alias(c) for c in COLUMNS]
    table = pl.scan_parquet(path).group_by("id").agg(pl.len(), *sums)
    return table.collect(engine="streaming").height


def by_duckdb(path: str) -> int:
    import duckdb

    sums = ", ".join(f"sum({c})" for c in COLUMNS)
    query = f"CREATE TABLE sums AS SELECT id, count(*), {sums} FROM read_parquet(?) GROUP BY id"
    duckdb.execute(query, [path])  # in memory; fetching would need numpy, whose import takes time
    return duckdb.execute("SELECT count(*) FROM sums").fetchone()[0]


def main() -> None:
    tool, path = sys.argv[1:]
    groups = {"polars": by_polars, "duckdb": by_duckdb}[tool](path)
    print(json.dumps({"versions": {tool: version(tool)}, "seconds": {}, "levels": groups}))


if __name__ == "__main__":
    main()
