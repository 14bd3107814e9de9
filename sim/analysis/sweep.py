"""Many runs under the clock, in as many processes as there are: grids of worlds, variants, parameters and costs.

A sweep runs on any :class:`concurrent.futures.Executor`, by default a pool of processes; ``Client(...).get_executor()``
of dask.distributed is one, too.  Results are kept as JSON Lines, one line a point, so that a sweep that was stopped
goes on where it was.  A point is a mapping of plain values, and so is its result: both can be sent anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TypeAlias

from sim.engines.costs import DEFAULT, ROWS, Costs
from sim.errors import BadParameter, UnknownName, UserError

Point: TypeAlias = dict[str, Any]
Row: TypeAlias = dict[str, Any]
Measure: TypeAlias = Callable[[Point], Row]

#: What a point may say beside the parameters of its world; ``costs`` maps rows of the table to factors, * to all rows.
KEYS: Final = ("world", "variant", "policy", "seed", "costs")


def grid(**axes: Any) -> list[Point]:
    """Every combination of *axes*: a list is an axis, anything else is the same in each point.

    ``grid(world="numa02", variant=["mutex_v37", "rwsem_v38"], threads=[1, 2, 4])`` has six points.
    """
    lists = [it if isinstance(it, list | tuple | range) else [it] for it in axes.values()]
    return [dict(zip(axes, values, strict=True)) for values in product(*lists)]


def each_cost(factors: Sequence[float] = (1 / 3, 3)) -> list[dict[str, float]]:
    """A value of ``costs`` for the table as it is, and for each row alone at each of *factors*."""
    return [{}, *({row.name: factor} for row in ROWS for factor in factors)]


def costs_of(factors: Mapping[str, float]) -> Costs:
    """The table of costs with some rows multiplied; ``*`` stands for all rows.

    Raises:
        UnknownName, BadParameter: if there is no such row, or a factor is negative.
    """
    costs = DEFAULT.scaled(factors["*"]) if "*" in factors else DEFAULT
    for name, factor in factors.items():
        if name != "*":
            if name not in costs.rows:
                raise UnknownName("cost", name, costs.rows)
            costs = costs.with_(name, costs.rows[name].ns * factor)
    return costs


def measured(point: Point) -> Row:
    """What a run says: time, throughput, counts, and where the context switches came from.

    Raises:
        UserError: if the point asks for something that there is not.
    """
    from sim.analysis.profile import profile
    from sim.engines.quick import quick

    params = {name: value for name, value in point.items() if name not in KEYS}
    if "world" not in point:
        raise BadParameter(f"a point of a sweep needs a world: {point}")
    run = quick(
        point["world"],
        point.get("variant", "mutex_v37"),
        policy=point.get("policy", "handoff"),
        seed=point.get("seed", 0),
        costs=costs_of(point.get("costs", {})),
        params=params,
    )
    seen = profile(run)
    return {
        "pages_migrated": run.pages_migrated,
        "elapsed_ns": run.elapsed_ns,
        "pages_per_second": run.pages_per_second,
        "extrapolated": run.extrapolated,
        "within": run.within,
        "taped": run.taped,
        **run.counts,
        "lock_percent": seen.share,
        "rmap_walk_percent": seen.branch("rmap_walk").share,
        "violation": None if run.violation is None else run.violation.kind,
    }


@dataclass(frozen=True)
class Table:
    """The points of a sweep with their results, in the order of the points.

    Attributes:
        points: what was asked.
        results: what came out, one for each point.
    """

    points: list[Point]
    results: list[Row]

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Row]:
        """Each point and its result as one row."""
        return ({**point, **result} for point, result in zip(self.points, self.results, strict=True))

    def where(self, **wanted: Any) -> Table:
        """The rows in which each of *wanted* has this value."""
        kept = [
            (point, result)
            for point, result in zip(self.points, self.results, strict=True)
            if all({**point, **result}.get(name) == value for name, value in wanted.items())
        ]
        return Table([point for point, _ in kept], [result for _, result in kept])

    def column(self, name: str) -> list[Any]:
        """One column.

        Raises:
            UnknownName: if no row has it, naming the nearest.
        """
        rows = list(self)
        if not any(name in row for row in rows):
            raise UnknownName("column", name, dict.fromkeys(key for row in rows for key in row))
        return [row.get(name) for row in rows]

    def text(self, *columns: str) -> str:
        """A table in Markdown, of all columns or of these."""
        names = list(columns) or list(dict.fromkeys(key for row in self for key in row))
        cells = [[_spell(it) for it in self.column(name)] for name in names]
        widths = [max(map(len, [name, *its])) for name, its in zip(names, cells, strict=True)]
        lines = [names, ["-" * it for it in widths], *zip(*cells, strict=True)]
        return "\n".join(
            "| " + " | ".join(it.ljust(width) for it, width in zip(line, widths, strict=True)) + " |" for line in lines
        )

    def __str__(self) -> str:
        return self.text()


def _spell(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} x {factor:.3g}" for name, factor in value.items()) or "as they are"
    return f"{value:,}" if isinstance(value, int) else str(value)


def sweep(
    points: Iterable[Point],
    *,
    measure: Measure = measured,
    executor: Executor | None = None,
    path: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Table:
    """Measure every point.

    Args:
        points: what to measure; see :func:`grid`.
        measure: what is done with a point; it must be importable by name to be sent to another process.
        executor: where; by default a pool with a process a CPU, which is shut down in the end.
        path: a file of JSON Lines that results are added to; points that it has already are not measured again.
        progress: called with how many points are done and how many there are.

    A result is in the file as soon as it is there: a sweep that is stopped, by Ctrl-C or otherwise, loses only what was
    being measured, and goes on from there when it is called again.

    Raises:
        UserError: if a point cannot be measured, or the file is no such file.
    """
    asked = list(points)
    keys = [key_of(it, measure) for it in asked]
    done = {} if path is None else _read(Path(path))
    left = {key: point for key, point in zip(keys, asked, strict=True) if key not in done}
    tell = progress or (lambda *_: None)
    tell(len(set(keys)) - len(left), len(set(keys)))
    if left:
        own = None if executor is not None else _pool(len(left))
        try:
            for key, result in _measured(left, measure, executor or own):  # type: ignore[arg-type]
                done[key] = result
                if path is not None:
                    _append(Path(path), key, left[key], result)
                tell(len(set(keys) & done.keys()), len(set(keys)))
        finally:
            if own is not None:
                own.shutdown(wait=True, cancel_futures=True)
    return Table(asked, [done[key] for key in keys])


def _pool(most: int) -> Executor:
    # Fresh processes: a fork of a notebook's kernel, which has threads, may hang.
    return ProcessPoolExecutor(min(most, os.cpu_count() or 1), mp_context=get_context("spawn"))


def _measured(left: Mapping[str, Point], measure: Measure, executor: Executor) -> Iterator[tuple[str, Row]]:
    """Each result as soon as it is there; what has not begun is cancelled if the caller stops."""
    futures: dict[Future[Row], str] = {executor.submit(measure, point): key for key, point in left.items()}
    try:
        while futures:
            finished = wait(futures, return_when=FIRST_COMPLETED).done
            for it in [it for it in futures if it in finished]:  # in the order of the points
                key = futures.pop(it)
                try:
                    result = it.result()
                except UserError as error:
                    raise BadParameter(f"the point {left[key]} cannot be measured: {error}") from error
                yield key, json.loads(json.dumps(result))
    finally:
        for it in futures:
            it.cancel()


# --- the file --------------------------------------------------------------------------------------------


def key_of(point: Point, measure: Measure) -> str:
    """What tells a point, and what is done with it, from others."""
    function = measure.func if isinstance(measure, partial) else measure
    bound = repr((measure.args, measure.keywords)) if isinstance(measure, partial) else ""
    name = f"{function.__module__}.{function.__qualname__}{bound}"
    text = json.dumps([name, point], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _read(path: Path) -> dict[str, Row]:
    """The results in a file; a last line that was not finished is cut off, since its point will be measured again."""
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    whole, newline, rest = text.rpartition("\n")
    if rest:
        path.write_text(whole + newline, encoding="utf-8")
    found = {}
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            row = json.loads(line)
            found[str(row["key"])] = dict(row["result"])
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{path} line {number} is no result of a sweep: give another file, or mend it") from error
    return found


def _append(path: Path, key: str, point: Point, result: Row) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"key": key, "point": point, "result": result}) + "\n")


# --- progress in a notebook ------------------------------------------------------------------------------


def notebook_bar(title: str = "runs") -> Callable[[int, int], None]:
    """A progress bar for a notebook, shown at once: hand it to :func:`sweep` as *progress*.  Needs ipywidgets."""
    from IPython.display import display
    from ipywidgets import IntProgress

    # as wide as its words need, and room for a bar beside them
    bar = IntProgress(
        description=title, style={"description_width": "initial"}, layout={"width": "100%", "max_width": "640px"}
    )
    display(bar)  # type: ignore[no-untyped-call]

    def tell(done: int, whole: int) -> None:
        bar.max, bar.value = whole, done
        bar.description = f"{title} {done}/{whole}"

    return tell
