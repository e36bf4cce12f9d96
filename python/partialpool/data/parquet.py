"""Parquet files, one or several that make up a table → columns, through DuckDB."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from partialpool.data.reading import Reading
from partialpool.data.relations import RelationReader, connect
from partialpool.errors import InputError
from partialpool.files.failures import attempt, unreadable
from partialpool.files.unchanged import Unchanged
from partialpool.paths import shown

T = TypeVar("T")

_MAGIC = (b"PAR1", b"PARE")  # how a Parquet file begins and ends; the second is encrypted
# Where kinds of tables keep which of their files count.
_LOGS = {"_delta_log": "Delta Lake", ".hoodie": "Hudi", "metadata/*.metadata.json": "Iceberg"}
_INTEGERS = {"tinyint", "smallint", "integer", "bigint"}
_FLOATS = {"float", "double"}


def find_parquet(path: Path) -> list[Path]:
    """Return the Parquet files of a folder, or those that a pattern names, ordered by name."""
    if path.is_dir():
        found = [str(p) for p in path.glob("*.parquet")]
        _check_flat(path)
    else:
        found = glob.glob(str(path), recursive=True)
    # What starts with a point or an underscore is not data, by the custom of those who write them.
    return sorted(p for p in map(Path, found) if p.is_file() and p.name[0] not in "._")


def _check_flat(folder: Path) -> None:
    """Refuse a folder whose files are not all that its table has, or more than that."""
    for log, kind in _LOGS.items():
        if next(folder.glob(log), None) is not None:
            raise InputError(
                f"the folder `{shown(folder)}` is a {kind} table, of whose files some may no "
                "longer count",
                remedy=f"open it with what reads {kind} and give the table",
            )
    for inner in sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] not in "._"):
        if "=" in inner.name:
            raise InputError(
                f"the folder `{shown(folder)}` is divided by folders such as `{inner.name}`, whose "
                "names are not read",
                remedy="open it with pyarrow, polars or DuckDB and give the table",
            )
        if next(inner.rglob("*.parquet"), None) is not None:
            raise InputError(
                f"the folder `{shown(folder)}` has Parquet files in folders, such as "
                f"`{inner.name}`, which would not be read",
                remedy=f"give the files by a pattern, such as `{folder.name}/**/*.parquet`",
            )


def open_parquet(paths: Sequence[Path], source: str, how: Reading) -> RelationReader:
    """Open Parquet files that have the same columns as one table, one after the other.

    Raises
    ------
    InputError
        If a file cannot be read, or has other columns than the first.
    """
    connection = connect()
    files = _Files(source, attempt(source, lambda: Unchanged.of(paths)))
    first: list[tuple[str, str]] = []
    seen: dict[tuple[int, int], Path] = {}
    for path in paths:
        stamp = attempt(path.name, path.stat)
        twin = seen.setdefault((stamp.st_dev, stamp.st_ino), path)
        if twin is not path:
            raise InputError(
                f"`{path.name}` and `{twin.name}` are one file, whose rows would count twice",
                remedy="give every file once",
            )
        _check_ends(path)
        relation = _open(connection, [path], path.name)
        names = _names(connection, path)
        own = list(zip(names, (str(kind).lower() for kind in relation.types), strict=True))
        first = first or own
        _check_alike(own, first, path, paths[0])
    relation = _open(connection, paths, source, union_by_name=len(paths) > 1)
    return RelationReader(relation, source, how, [name for name, _ in first], files.run, paths)


def parquet_schema(paths: Sequence[Path]) -> tuple[Any, int]:
    """Schema of the first of some files, as Arrow has it, and the number of rows of all."""
    import pyarrow.parquet as pq

    every = [attempt(path.name, lambda path=path: pq.ParquetFile(path)) for path in paths]  # type: ignore[misc]
    rows = sum(file.metadata.num_rows for file in every)
    for file in every:
        file.close()
    return every[0].schema_arrow, rows


def parquet_batches(paths: Sequence[Path], schema: Any, rows: int) -> Iterator[Any]:
    """Read files in batches of at most so many rows, with the types of this schema.

    Raises
    ------
    InputError
        If a file cannot be read: it is named, with its row group.
    """
    import pyarrow.parquet as pq

    for path in paths:
        with attempt(path.name, lambda path=path: pq.ParquetFile(path)) as file:  # type: ignore[misc]
            groups = file.num_row_groups
            for k in range(groups):
                try:
                    for batch in file.iter_batches(rows, row_groups=[k]):
                        yield batch if batch.schema.types == schema.types else batch.cast(schema)
                except Exception as error:  # whatever a broken file makes of it
                    where = f"{path.name}, row group {k + 1} of {groups}"
                    raise unreadable(where, error) from None


class _Files(Struct, frozen=True):
    """The files of a table, of which a query may find that one is damaged."""

    source: str
    unchanged: Unchanged

    def run(self, query: Callable[[], T]) -> T:
        """Run a query; say which file and which row group cannot be read."""
        try:
            found = query()
        except Exception as error:
            failure = unreadable(self.source, error)  # or an interrupt
            self.unchanged.check()
            raise self._damage(failure) from None
        self.unchanged.check()
        return found

    def _damage(self, otherwise: InputError) -> InputError:
        for path in self.unchanged.stamps:
            found = damaged_row_group(path)
            if found is not None:
                group, groups, reason = found
                return InputError(
                    f"`{path.name}` cannot be read (row group {group + 1} of {groups} is damaged: "
                    f"{reason})",
                    remedy="write or copy it again",
                )
        return otherwise


def damaged_row_group(path: Path) -> tuple[int, int, str] | None:
    """Return the first row group of a file that cannot be read, how many there are, and why.

    Another library reads them one by one, whose reasons are better words; None where it can.
    """
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except Exception:
        return None
    with file:
        for group in range(file.num_row_groups):
            try:
                file.read_row_group(group)
            except Exception as error:
                reason = " ".join(str(error).split())[:100].rstrip(" .") or type(error).__name__
                return group, file.num_row_groups, reason
    return None


def _check_ends(path: Path) -> None:
    """Refuse what is cut off or another kind of file, in words that say which."""

    def ends() -> tuple[bytes, bytes]:
        with open(path, "rb") as file:
            start = file.read(4)
            file.seek(max(path.stat().st_size - 4, 0))
            return start, file.read(4)

    start, end = attempt(path.name, ends)
    if not start:
        raise InputError(f"`{path.name}` is empty", remedy="give a file with data")
    if start not in _MAGIC:
        raise InputError(
            f"`{path.name}` cannot be read (it is no Parquet file)", remedy="check its extension"
        )
    if end != start or path.stat().st_size < 12:
        raise InputError(
            f"`{path.name}` cannot be read (it is cut off: the list of its row groups, which "
            "stands at its end, is not there)",
            remedy="write or copy it again",
        )


def _open(connection: Any, paths: Sequence[Path], source: str, **options: Any) -> Any:
    literal = [glob.escape(str(path)) for path in paths]
    return attempt(
        source,
        lambda: connection.read_parquet(literal, hive_partitioning=False, **options),
    )


def _names(connection: Any, path: Path) -> list[str]:
    """Names of the columns as they are written; DuckDB changes those that differ only in case."""
    query = "SELECT name, num_children FROM parquet_schema(?)"
    rows = attempt(
        path.name, lambda: connection.execute(query, [glob.escape(str(path))]).fetchall()
    )
    names, skip = [], 0
    for name, children in rows[1:]:  # the schema is a tree, listed depth first after its root
        if not skip:
            names.append(name)
        else:
            skip -= 1
        skip += children or 0
    return names


def _check_alike(
    own: Sequence[tuple[str, str]], first: Sequence[tuple[str, str]], path: Path, other: Path
) -> None:
    """Refuse files that do not continue one another: types must not change what values are."""
    if [name for name, _ in own] != [name for name, _ in first]:
        lacking = {name for name, _ in own} ^ {name for name, _ in first}
        shown = f": `{sorted(lacking)[0]}` is in one of them" if lacking else " in another order"
        raise InputError(
            f"`{path.name}` has other columns than `{other.name}`{shown}",
            remedy="give files with the same columns",
        )
    for (name, kind), (_, before) in zip(own, first, strict=True):
        alike = kind == before or {kind, before} <= _INTEGERS or {kind, before} <= _FLOATS
        if not alike:
            raise InputError(
                f"`{name}` is of type {kind} in `{path.name}` and {before} in `{other.name}`",
                remedy="write the files with the same types",
            )
