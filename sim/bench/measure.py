"""``python -m sim bench``: ratios against named peers, measured in one run on this machine.

Absolute numbers differ from machine to machine, and on a shared one from minute to minute; believe the ratios.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator
from importlib import import_module
from typing import Any, cast

import simpy

from sim.analysis.spin import missing
from sim.bench import spin
from sim.engines import quick, replay, timed
from sim.engines.checker import check
from sim.engines.costs import DEFAULT, row_of
from sim.machine import Change, Machine, awaited
from sim.ops import Acquire, Field, Op, Release, Step, TryAcquire
from sim.variants import find as find_variant
from sim.worlds import find as find_world

WORLD, VARIANT, THREADS, PAGES = "numa02", "mutex_v37", 32, 16
WHOLE = {"threads": 32, "pages": 512}
FILM = "move_pages?pages=20,spinners=2"
#: States up to which the checker is wanted to be three times as fast as Spin, most of whose time is gcc's until then.
SPIN_WANTED = 300_000


def bench(progress: Callable[..., None] | None = None) -> dict[str, Any]:
    """Every measurement: names, numbers, ratios."""

    def tell(part: str) -> None:
        gc.collect()  # what the part before has left would be collected on this one's clock
        if progress is not None:
            progress(part)

    tell("the timed engine against simpy.Resource")
    result: dict[str, Any] = {"timed": _timed()}
    tell("an answer for a slider")
    result["slider"] = [_slider(it) for it in (VARIANT, "rwsem_v38")]
    tell(f"a whole run, {THREADS} threads with {WHOLE['pages']} pages each")
    result["whole"] = _whole()
    tell("the checker")
    result["checker"] = [_checker("one_page", VARIANT), _checker("stack_grows", "rfc_remap_unlocked")]
    tell("the checker against Spin")
    result["spin"] = _spin()
    tell("a film")
    result["film"] = _film()
    tell("the player")
    result["player"] = _player()
    return result


def table(data: dict[str, Any]) -> str:
    """The measurements as a table in Markdown."""
    timed_engine = data["timed"]
    mine = f"timed engine, {timed_engine['workload']}, changes recorded | {timed_engine['seconds']:.2f} s"
    peer = f"the same coroutines and memory on `simpy.Resource`: {timed_engine['peer_seconds']:.2f} s"
    rows = ["| what | measured | against | ratio |", "| --- | --- | --- | --- |"]
    rows.append(f"| {mine} | {peer} | {timed_engine['ratio']:.2f} |")
    for it in data.get("slider", ()):
        what = f"slider, {it['variant']}, 32 x 512 pages"
        rows.append(f"| {what}, first picture: theory | {1e3 * it['first']:.0f} ms | 200 ms | |")
        apart = f"theory was {abs(100 * it['apart']):.1f} % {'above' if it['apart'] > 0 else 'below'} it"
        rows.append(f"| {what}, simulated answer, {it['how']} | {1e3 * it['seconds']:.0f} ms | {apart} | |")
        rows.append(f"| {what}, the same with other costs | {1e3 * it['again']:.0f} ms | 200 ms | |")
    if "whole" in data:
        it = data["whole"]
        what = f"the same, {VARIANT}, run from start to end"
        rows.append(f"| {what} | {it['seconds']:.1f} s for {it['steps']:,} steps | 3 s | |")
        same = "the same to the nanosecond" if it["same"] else "not the same"
        rows.append(f"| {what}, replayed from a tape | {it['taped']:.1f} s, {same} | 3 s | |")
    rows += [
        f"| checker, {it['world']} under {it['variant']} | {it['states']:,} states to the verdict “{it['verdict']}” in"
        f" {it['seconds']:.2f} s | | {it['states_per_second']:,.0f} states/s |"
        for it in data["checker"]
    ]
    rows += _spin_rows(data.get("spin", {}))
    if "film" in data:
        it = data["film"]
        what = f"a film of {it['steps']:,} steps built, {it['marks']} marks"
        rows.append(f"| {what} | {it['seconds']:.2f} s | 1 s | |")
    player = data["player"]
    if "p95_ms" in player:
        rows.append(f"| player, a film of {player['steps']:,} steps opens | {player['load_ms']:.0f} ms | 1 s | |")
        rows.append(f"| player, script time a frame, 95th percentile | {player['p95_ms']:.2f} ms | 4 ms | |")
        rows.append(f"| player, a jump with its layout, 95th percentile | {player['seek_p95_ms']:.2f} ms | 16.7 ms | |")
        rows.append(f"| player, frames that came late (over 33 ms) | {player['late_percent']:.2f} % | 1 % | |")
    else:
        rows.append(f"| player | not measured: {player['why']} | | |")
    return "\n".join(rows)


def _spin_rows(data: dict[str, Any]) -> list[str]:
    if "why" in data:
        return [f"| checker against Spin | not measured: {data['why']} | | |"]
    return [
        f"| checker, a protocol with {it['states']:,} states, process start to verdict | {it['seconds']:.2f} s"
        f" | Spin, gcc -O2 and search: {it['spin_seconds']:.2f} s"
        f" | {it['ratio']:.2f}{' (3 wanted)' if it['states'] <= SPIN_WANTED else ''} |"
        for it in data.get("sizes", ())
    ]


def _spin() -> dict[str, Any]:
    if lacking := missing():
        return {"why": f"{lacking} not found"}
    sizes = []
    for size in spin.SIZES:
        its = [spin.race(*size) for _ in range(2)]
        seconds, spin_seconds = min(it.seconds for it in its), min(it.spin_seconds for it in its)
        its_size = dict(zip(("pages", "users", "rounds"), size, strict=True))
        measured = {"states": its[0].states, "seconds": seconds, "spin_seconds": spin_seconds}
        sizes.append(its_size | measured | {"ratio": spin_seconds / seconds})
    return {"sizes": sizes}


def _best(measure: Callable[[], object], times: int = 3) -> float:
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        measure()
        best = min(best, time.perf_counter() - start)
    return best


def _timed() -> dict[str, Any]:
    params = {"threads": THREADS, "pages": PAGES}
    seconds = peer_seconds = float("inf")
    for _ in range(3):  # in turns, so that a busy moment hits both
        seconds = min(seconds, _best(lambda: timed.run(WORLD, VARIANT, record=True, params=params), 1))
        peer_seconds = min(peer_seconds, _best(lambda: ResourcePeer(params).run(), 1))
    workload = f"{WORLD} with {THREADS} threads and {PAGES} pages each"
    return {
        "workload": workload,
        "seconds": seconds,
        "peer_seconds": peer_seconds,
        "ratio": peer_seconds / seconds,
    }


def _slider(variant: str) -> dict[str, Any]:
    """How soon there is a first picture, of theory, and how soon the simulated answer, and how far they lie apart.

    Once more with other costs: for these there is a tape already.
    """
    quick.forget()
    replay.forget()
    turned = import_module("vizlib.controls").tune(WORLD, variant, threads=(1, WHOLE["threads"]), pages=WHOLE["pages"])
    turned.set(threads=2)  # matplotlib, too, takes its time only once
    turned.show(threads=WHOLE["threads"])
    theory: list[Any] = []
    first = _best(lambda: theory.append(turned.foretell()), 5)
    found: list[Any] = []
    seconds = _best(lambda: found.append(quick.quick(WORLD, variant, params=WHOLE)), 1)
    dearer = (DEFAULT.with_("copy_page", DEFAULT["copy_page"] + more) for more in range(1, 4))
    again = _best(lambda: quick.quick(WORLD, variant, costs=next(dearer), params=WHOLE))
    quick.forget()
    within = f" within {100 * found[0].within:.1f} %" if found[0].within else ""
    how = f"extrapolated{within}" if found[0].extrapolated else "run"
    how += " from a tape that was made for it" if found[0].taped else ""
    apart = theory[0].pages_per_second / found[0].pages_per_second - 1
    return {"variant": variant, "first": first, "seconds": seconds, "again": again, "how": how, "apart": apart}


def _whole() -> dict[str, Any]:
    """The whole run, and the same by a tape that is made for it and checked."""
    found: list[Any] = []
    seconds = _best(lambda: found.append(timed.run(WORLD, VARIANT, params=WHOLE)), 1)
    replay.forget()
    taped = _best(lambda: found.append(replay.replay(WORLD, VARIANT, params=WHOLE)), 1)
    run, again = ((it.elapsed_ns, it.steps, it.counts, it.sites) for it in found)
    return {"seconds": seconds, "steps": found[0].steps, "taped": taped, "same": run == again}


def _checker(world: str, variant: str) -> dict[str, Any]:
    start = time.perf_counter()
    found = check(world, variant)
    seconds = time.perf_counter() - start
    return {
        "world": world,
        "variant": variant,
        "verdict": found.verdict,
        "states": found.states,
        "seconds": seconds,
        "states_per_second": found.states / seconds,
    }


def _film() -> dict[str, Any]:
    """How long it takes to make a film of a long run on a crowded stage."""
    run = import_module("vizlib.showcase").showcase(FILM, VARIANT)
    film = import_module("vizlib.film").film
    made: list[Any] = []
    seconds = _best(lambda: made.append(film(run)), 3)
    return {"seconds": seconds, "steps": len(made[0]["steps"]), "marks": len(made[0]["first"])}


def _player() -> dict[str, Any]:
    try:
        return dict(import_module("vizlib.player.bench").player_frame_times())
    except Exception as error:  # no browser, no playwright: say so, and measure the rest
        return {"why": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"}


# --- the peer --------------------------------------------------------------------------------------------


class ResourcePeer:
    """The same coroutines and memory with ``simpy.Resource`` locks and one timeout an operation.

    What one would write first with SimPy.  Exclusive locks are resources, taken before the operation changes the
    memory; whoever waits for another field waits for an event that fires when the field changes.
    """

    def __init__(self, params: dict[str, int]) -> None:
        self.env = simpy.Environment()
        self.machine = Machine(find_world(WORLD).setup(params), find_variant(VARIANT))
        self.locks: dict[Field, simpy.Resource] = {}
        self.changed: dict[Field, simpy.Event] = {}
        self.held: dict[tuple[int, Field], Any] = {}
        self.events: list[tuple[float, int, Op, tuple[Change, ...]]] = []

    def run(self) -> int:
        """Run to the end; return how many steps were made."""
        lives = [self.env.process(self._live(i)) for i in range(len(self.machine.tasks))]
        threads = [it for it, info in zip(lives, self.machine.tasks, strict=True) if not info.daemon]
        self.env.run(until=self.env.all_of(threads))
        return self.machine.steps

    def _live(self, i: int) -> Generator[Any, Any, None]:
        while (op := self.machine.ops[i]) is not None:
            if (request := self._ask(i, op)) is not None:
                yield request
            while not self.machine.enabled(self.machine.tasks[i].task):
                field = awaited(op, self.machine.contexts[i].cpu)
                assert field is not None
                yield self.changed.setdefault(field, self.env.event())
            self._perform(i, op)
            yield self.env.timeout(timed.COSTS[row_of(cast("Step", op))])

    def _ask(self, i: int, op: Op) -> Any:
        """The request that comes before *op*: for an exclusive lock that is to be waited for, or is free."""
        if not isinstance(op, Acquire | TryAcquire) or op.mode != "exclusive":
            return None
        resource = self.locks.get(op.lock) or self.locks.setdefault(op.lock, simpy.Resource(self.env))
        if isinstance(op, TryAcquire) and resource.count:
            return None
        self.held[i, op.lock] = resource.request()
        return self.held[i, op.lock]

    def _perform(self, i: int, op: Op) -> None:
        changes: list[Change] = []
        self.machine.perform(i, changes)
        self.events.append((self.env.now, i, op, tuple(changes)))
        if isinstance(op, Release) and (i, op.lock) in self.held:
            self.locks[op.lock].release(self.held.pop((i, op.lock)))
        for change in changes:
            if change.field in self.changed:
                self.changed.pop(change.field).succeed()
