"""A small world that a player can run by itself: the checker's learned tables, and what each state looks like.

The tables say who can step in a state, and what the step changes; :mod:`vizlib.learned` says for every mark, thread,
lock and sentence on which part of the state it depends, and what it is then.  Both are a few hundred entries.  So
the reader may let any task step in any order, without a kernel and without a network, and sees what the film of that
run would show.  Nothing is defined a second time: the pictures are those of the lenses, the sentences those of
:mod:`vizlib.explain`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Any

from sim.engines.checker import Search, final_violation
from sim.engines.checker_tables import Outcome, Slot, Tables
from sim.engines.narrowing import Row, States, narrowed
from sim.errors import BadParameter
from sim.invariants import Violation
from sim.locks import Rwsem
from sim.machine import Event
from sim.ops import Field
from sim.trace import Trace
from sim.variants import find as find_variant
from sim.worlds import find as find_world
from vizlib.events import kernel_frames
from vizlib.explain import sentence
from vizlib.lanes import bars_at, strokes_of
from vizlib.learned import Learned, Watched, learn
from vizlib.lenses import Part
from vizlib.lenses.kinship import stop_json
from vizlib.lenses.lock import lock, lock_id, lock_json, waits
from vizlib.lenses.task import STOPPED, thread
from vizlib.moments import Actor, Run
from vizlib.scene import Json, Mark
from vizlib.sources import Sources
from vizlib.stills import COUNTS, Stage, blocked_at, changes_at, count, flags_of
from vizlib.waitfor import edges_of, edges_of_lock
from vizlib.waiting import intent

#: The most states of a world that travels.
MOST_STATES = 40_000


class Explored:
    """A world under a variant, every state of it.

    Attributes:
        tables: what the checker learned; order: its states, the start first.
        run: a run that touches all that any run touches, from which the places on the stage are found.
        stage: those places.

    Raises:
        BadParameter: if the world has more than :data:`MOST_STATES` states.
    """

    def __init__(self, world: str, variant: str, params: tuple[tuple[str, int], ...]) -> None:
        setup = find_world(world).setup(dict(params))
        how = find_variant(variant)
        self.tables = Tables(setup, how)
        search = Search(self.tables)
        search.run(MOST_STATES, all_kinds=True)
        if not search.complete:
            raise BadParameter(
                f"{world} under {variant} has more than {MOST_STATES:,} states with these parameters: it cannot be "
                "played without a kernel; take smaller parameters, or step it in JupyterLab"
            )
        self.order = list(search.seen)
        self.tables.settle(self.order)
        events = tuple(self._everything(search))
        names = tuple(str(info.task) for info in setup.tasks)
        trace = Trace(
            world, dict(params), variant, setup.tasks, dict(setup.memory), list(events), [], None, setup.nodes,
            how.title, [names] * (len(events) + 1),
        )  # fmt: skip
        self.run = Run(trace, any_order=True)
        self.stage = Stage(self.run)
        self.states = States(self.tables)

    def _everything(self, search: Search) -> Iterator[Event]:
        """Runs one after the other, until every change that any step can make has been seen."""
        known: set[int] = set()
        changed: set[Any] = set()
        for state in reversed(self.order):
            for task in range(len(self.tables.tasks)):
                for it in self.tables.outcomes(state, task):
                    if id(it) in known:
                        continue
                    known.add(id(it))
                    if {(change.field, change.new) for change in it.changes} <= changed:
                        continue
                    events, _ = self.tables.replay((*search.way_to(state), (task, it.choice)))
                    changed |= {(change.field, change.new) for event in events for change in event.changes}
                    yield from events

    def moves(self) -> Iterator[tuple[int, int, Outcome]]:
        """Every step that can be made: the state, the task, what comes of it."""
        for state in self.order:
            for task in range(len(self.tables.tasks)):
                for it in self.tables.outcomes(state, task):
                    yield state, task, it


@lru_cache(maxsize=4)
def explored(world: str, variant: str, params: tuple[tuple[str, int], ...]) -> Explored:
    """The world, explored once."""
    return Explored(world, variant, params)


def playable(it: Explored, sources: Sources) -> Json:
    """*it* as JSON; texts and source lines go to those of the film.

    ``start`` is a state: a number a slot.  ``rows`` says by task and local state which slots its step depends on and
    which ``moves`` are then possible; a move says which slots get which numbers.  ``shown`` are the functions of the
    state that make the picture, ``told`` those of the state after a move, by number of the move.
    """
    export = _Export(it, sources)
    return export.json()


class _Export:
    def __init__(self, it: Explored, sources: Sources) -> None:
        self.it = it
        self.tables, self.run, self.stage, self.states = it.tables, it.run, it.stage, it.states
        self.sources = sources
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self.moves: list[Json] = []
        self._move_numbers: dict[int, int] = {}
        self._told: dict[int, Learned] = {}

    def json(self) -> Json:
        rows = [dict(self._rows(task)) for task in range(len(self.tables.tasks))]
        parts = [Learned(self.states, partial(self._ask, make)) for make in self._shown()]
        learn(parts, self.it.order)
        shown = [it for part in parts for it in self._split(part)]
        self._learn_moves()
        told = [
            self._one("", self._told[number]) if number in self._told else None for number in range(len(self.moves))
        ]
        return {
            "start": list(self.states.row(self.tables.start)),
            "tasks": [{"task": str(info.task), "daemon": info.daemon} for info in self.tables.tasks],
            "states": len(self.it.order),
            "rows": rows,
            "moves": self.moves,
            "shown": shown,
            "told": told,
            "ends": self._ends(),
            "stopped": {"state": "idle", "status": STOPPED, "user": ""},
            "values": self.values,
        }

    # --- steps -----------------------------------------------------------------------------------------

    def _rows(self, task: int) -> Iterator[tuple[str, Json]]:
        codes = {code: at for at, code in enumerate(self.tables.local_slot(task).codes.values())}
        for code, row in self.tables.rows[task].items():
            slots = sorted(self.states.number[id(it)] for it in row.slots if it.mask)
            table = {}
            for key, outcomes in row.outcomes.items():
                numbers = [self._move(task, row.code, key, it) for it in outcomes]
                if numbers:
                    table[_key(self.states.part(key, slots))] = numbers
            if table:
                yield str(codes[code]), {"on": slots, "moves": table}

    def _move(self, task: int, code: int, key: int, it: Outcome) -> int:
        before = key | code
        after = before + it.delta
        changed = [
            [at, self.states.part(after, (at,))[0]]
            for at, slot in enumerate(self.states.slots)
            if before & slot.mask != after & slot.mask
        ]
        number = self._move_numbers[id(it)] = len(self.moves)
        move: Json = {"set": changed}
        if it.choice is not None:
            move["choice"] = it.choice
        if it.outcome != "done":
            move["outcome"] = it.outcome
        if it.violation is not None:
            move["violation"] = {"kind": it.violation.kind, "sentence": it.violation.sentence}
        self.moves.append(move)
        return number

    # --- what a state shows -----------------------------------------------------------------------------

    def _ask(self, make: Callable[[Watched], Any], state: int, seen: set[Slot]) -> Any:
        return make(Watched(self.run, self.tables, state, seen))

    def _shown(self) -> Iterator[Callable[[Watched], dict[str, Any]]]:
        """Functions of a state; each makes a few named things."""
        for lens in self.stage.lenses:
            yield from (partial(_marks, "mark", part) for part in lens.parts())
        yield from (partial(_marks, "kin", part) for part in self.stage.family.parts())
        for field in self.stage.locks.fixed:
            yield partial(_locks, field)
            yield partial(_holders, field)
            if field not in self.run.rwsems:
                yield from (partial(_waits, actor, field) for actor in self.run.actors)
        for actor in self.run.actors:
            yield partial(self._threads, actor)
            yield from (partial(it, actor) for it in (_next, _blocked, _done, _waiting))
            if actor.kind != "handler":
                yield partial(_bars, actor)

    def _threads(self, actor: Actor, moment: Watched) -> dict[str, Any]:
        return {f"thread:{actor.name}": self._thread(thread(actor, moment))}

    def _thread(self, it: Any) -> Json:
        return {
            "state": it.state,
            "status": it.status,
            "stack": self.sources.stack(kernel_frames(it.stack)),
            "user": it.user,
        }

    def _split(self, part: Learned) -> Iterator[Json]:
        """One function for each thing that *part* names, with only what that one depends on."""
        slots, samples = part.samples()
        numbered = {row: {name: self._value(it) for name, it in values.items()} for row, values in samples.items()}
        for name in dict.fromkeys(name for values in numbered.values() for name in values):
            yield self._function(name, slots, {row: values.get(name, -1) for row, values in numbered.items()})

    def _function(self, name: str, slots: list[int], table: dict[Row, Any]) -> Json:
        on, fewer = narrowed(slots, table)
        return {
            **({"id": name} if name else {}),
            "on": on,
            "is": {_key(row): number for row, number in fewer.items() if number != -1},
        }

    def _one(self, name: str, part: Learned) -> Json:
        slots, samples = part.samples()
        return self._function(name, slots, {row: self._value(it) for row, it in samples.items()})

    def _value(self, it: Any) -> int:
        """The number of a value; equal values are kept once."""
        key = it if isinstance(it, Mark) else repr(it)
        number = self._numbers.setdefault(key, len(self.values))
        if number == len(self.values):
            self.values.append(self.sources.mark(it) if isinstance(it, Mark) else it)
        return number

    # --- what a step says --------------------------------------------------------------------------------

    def _learn_moves(self) -> None:
        after: dict[int, dict[int, None]] = {}
        for state, task, it in self.it.moves():
            number = self._move_numbers[id(it)]
            if number not in self._told:
                self._told[number] = Learned(self.states, partial(self._tell, self._event(state, task, it)))
            after.setdefault(number, {})[state + it.delta] = None
        for number, part in self._told.items():
            learn([part], after[number])

    def _event(self, state: int, task: int, it: Outcome) -> tuple[Event, Any]:
        op = self.tables.op(state, task)
        assert op is not None
        name = self.tables.tasks[task].task
        stack = kernel_frames(self.tables.stack(task, self.tables.local(state, task)))
        event = Event(1, name, op, it.choice, it.answer, it.outcome, it.changes, it.points, it.violation)
        return event, stack

    def _tell(self, how: tuple[Event, Any], state: int, seen: set[Slot]) -> Json:
        event, stack = how
        moment = Watched(self.run, self.tables, state, seen, event)
        moment.__dict__["stack"] = stack
        actor = self.run.actor[event.task]
        counts = count(moment, dict.fromkeys(COUNTS, 0))
        strokes = strokes_of(moment)
        told: Json = {
            "sentence": sentence(moment),
            "changed": [
                {"what": what, "from": old, "to": new, **({"mark": mark} if mark else {})}
                for what, old, new, mark in changes_at(moment, self.stage)
            ],
            "flags": list(flags_of(moment)),
            "thread": self._thread(thread(actor, moment)),
            "counts": {name: number for name, number in counts.items() if number},
            "accused": self._accused(event.violation, moment),
            "copy": strokes.copy,
            "sent": [list(it) for it in strokes.sent],
            "taken": list(strokes.taken),
            "walk": stop_json(moment),
        }
        return {key: it for key, it in told.items() if it}

    def _accused(self, violation: Violation | None, moment: Watched) -> list[str]:
        """The marks of the objects at fault."""
        if violation is None:
            return []
        ptes = {field: moment.get(field) for field in self.run.ever if field.base == "pte"}
        return self.stage.marks_of(violation.culprits, ptes)

    def _verdict(self, violation: Violation, state: int) -> Json:
        marks = self._accused(violation, Watched(self.run, self.tables, state, set()))
        return {"kind": violation.kind, "sentence": violation.sentence, "marks": marks}

    # --- ends ---------------------------------------------------------------------------------------------

    def _ends(self) -> Json:
        """What is wrong with states in which nobody goes on, or everybody has finished."""
        samples: dict[Row, Any] = {}
        for state in self.it.order:
            stuck = not any(self.tables.outcomes(state, task) for task in range(len(self.tables.tasks)))
            if stuck or not state & self.tables.busy:
                violation = final_violation(self.tables, state)
                samples[self.states.row(state)] = (
                    -1 if violation is None else self._value(self._verdict(violation, state))
                )
        return self._function("", list(range(len(self.states.slots))), samples)


def _marks(kind: str, part: Part, moment: Watched) -> dict[str, Any]:
    return {f"{kind}:{it.id}": it for it in part(moment)}


def _locks(field: Field, moment: Watched) -> dict[str, Any]:
    """A lock, without those who wait for it unless it has a queue."""
    it = lock(field, moment, waiting=isinstance(moment.get(field), Rwsem))
    return {f"lock:{lock_id(field)}": lock_json(it)}


def _waits(actor: Actor, field: Field, moment: Watched) -> dict[str, Any]:
    return {f"wait:{actor.name}:{lock_id(field)}": True} if waits(actor, field, moment) else {}


def _holders(field: Field, moment: Watched) -> dict[str, Any]:
    found = [[it.target, it.words] for it in edges_of_lock(field, moment)]
    return {f"waits:{lock_id(field)}": found} if found else {}


def _waiting(actor: Actor, moment: Watched) -> dict[str, Any]:
    found = [[it.target, it.words] for it in edges_of(actor, moment)]
    return {f"waits:task:{actor.name}": found} if found else {}


def _next(actor: Actor, moment: Watched) -> dict[str, Any]:
    return {f"next:{actor.name}": intent(actor, moment)} if moment.can_run(actor) else {}


def _blocked(actor: Actor, moment: Watched) -> dict[str, Any]:
    return {f"blocked:{name}": why for name, why in blocked_at(moment, [actor])}


def _done(actor: Actor, moment: Watched) -> dict[str, Any]:
    return {f"done:{actor.name}": True} if moment.finished(actor) else {}


def _bars(actor: Actor, moment: Watched) -> dict[str, Any]:
    return {f"bars:{actor.name}": [list(it) for it in bars_at(actor, moment)]}


def _key(row: Iterable[int]) -> str:
    return ",".join(map(str, row))
