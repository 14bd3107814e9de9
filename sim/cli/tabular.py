"""What a command found, as a table in a file: CSV, or Arrow for pandas, polars, R and DuckDB."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from sim import trace
from sim.cli.base import write, write_text
from sim.errors import UserError

#: A line of a table: by column a number, a text, a truth value, or None.
Row = Mapping[str, Any]


def table_options(parser: argparse.ArgumentParser, what: str) -> None:
    """``--csv`` and ``--arrow``: write *what* as a table."""
    parser.add_argument("--csv", metavar="FILE", help=f"also write {what} as CSV")
    about = f"also write {what} as an Arrow file, which pandas, polars, R and DuckDB read"
    parser.add_argument("--arrow", type=_with_pyarrow, metavar="FILE", help=about)


def _with_pyarrow(path: str) -> str:
    """*path*, if an Arrow file can be written at all: that is told before a long run and not after it."""
    if find_spec("pyarrow") is None:
        raise UserError("--arrow needs pyarrow: python -m pip install 'rmapwalk[arrow]'; --csv needs nothing")
    return path


def write_tables(options: argparse.Namespace, rows: Iterable[Row]) -> None:
    """Write *rows* to the files that were asked for.

    Raises:
        UserError: if a file cannot be written.
    """
    if not (options.csv or options.arrow):
        return
    lines = [*rows]
    if options.csv:
        write_text(as_csv(lines), options.csv)
    if options.arrow:
        table = as_arrow(lines)
        write(lambda to: trace.write_whole(to, table), options.arrow)


def flat(row: Row, under: str = "") -> dict[str, Any]:
    """*row* with what lies in a mapping as columns of their own: ``wait_ns.total``."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        found |= flat(value, f"{under}{name}.") if isinstance(value, Mapping) else {under + name: value}
    return found


def columns(rows: Iterable[Row]) -> list[str]:
    """The columns of *rows*, in the order in which they turn up."""
    return list(dict.fromkeys(name for row in rows for name in row))


def as_csv(rows: list[Row]) -> str:
    """*rows* as CSV (RFC 4180) with a line of names; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(rows))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_arrow(rows: list[Row]) -> bytes:
    """*rows* as an Arrow file.  Needs pyarrow."""
    import pyarrow as pa
    from pyarrow import feather

    table = pa.table({name: [row.get(name) for row in rows] for name in columns(rows)})
    buffer = io.BytesIO()
    feather.write_feather(table, buffer, compression="uncompressed")
    return buffer.getvalue()
