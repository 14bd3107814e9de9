"""A person decides who goes next: one step at a time, back, jump, branch.

Generators cannot be copied, so going back replays the steps before (2 to 3 us each).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from sim import guard
from sim.errors import BadSchedule, UnknownName
from sim.machine import Event, Frame, Machine
from sim.ops import Choose
from sim.schedule import Turn, parse_run_name, parse_schedule
from sim.setup import Setup, letter
from sim.structs import Task
from sim.trace import Trace
from sim.variants import Variant
from sim.variants import find as find_variant
from sim.worlds import find as find_world


class Stepper:
    """One run in a person's hand.

    >>> s = Stepper("one_page", "mutex_v37")
    >>> s.step("a").task
    migrator
    >>> s.back().run_name
    'one_page mutex_v37'
    """

    def __init__(self, world: str, variant: str | Variant = "mutex_v37", schedule: str = "", **params: int) -> None:
        """Start *world* under *variant* and follow *schedule*.

        Raises:
            UserError: if something is not known, not allowed, or cannot be followed.
        """
        self.world = find_world(world)
        self.variant = find_variant(variant) if isinstance(variant, str) else variant
        self.setup: Setup = self.world.setup(params)
        self._restart()
        self.play(parse_schedule(schedule))

    def __repr__(self) -> str:
        return f"Stepper({self.run_name})"

    def _restart(self) -> None:
        self.machine = Machine(self.setup, self.variant)
        self.events: list[Event] = []
        self.stacks: list[tuple[Frame, ...]] = []
        self.could_run: list[tuple[str, ...]] = [tuple(str(it) for it in self.machine.runnable())]

    def task(self, name: str | int | Task) -> Task:
        """The task with that name, letter or number.

        Raises:
            UnknownName: naming those that exist.
        """
        for number, info in enumerate(self.setup.tasks):
            if name in (info.task, info.task.name, info.letter) or (isinstance(name, int) and name == number):
                return info.task
        known = [f"{info.letter} = {info.task}" for info in self.setup.tasks]
        if isinstance(name, int):
            called = letter(name) if name >= 0 else name
            raise BadSchedule(f"step {self.machine.steps + 1}: there is no task {called}; there are {', '.join(known)}")
        raise UnknownName("task", str(name), known)

    def step(self, task: str | int | Task, choice: int = 0) -> Event:
        """Let *task* make one step.

        Raises:
            BadSchedule: if it cannot, naming the step and who could run.
        """
        who = self.task(task)
        stack = self.machine.stack(who)
        event = self.machine.step(who, choice)
        self.events.append(event)
        self.stacks.append(stack)
        self.could_run.append(tuple(str(it) for it in self.machine.runnable()))
        return event

    def play(self, turns: Iterable[Turn]) -> Stepper:
        """Follow *turns*."""
        for turn in turns:
            op = self.machine.pending(self.task(turn.task)) if turn.choice is not None else None
            if turn.choice is not None and not isinstance(op, Choose):
                raise BadSchedule(
                    f"step {self.machine.steps + 1}: choice .{turn.choice}, but there is nothing to decide"
                )
            self.step(turn.task, turn.choice or 0)
        return self

    def run(self, task: str | int | Task, steps: int = 1_000_000) -> Stepper:
        """Let *task* run until it is blocked, has finished, or has made *steps* steps."""
        who = self.task(task)
        while steps and self.machine.enabled(who):
            self.step(who)
            steps -= 1
        return self

    def finish(self, seed: int | None = None) -> Stepper:
        """Let everybody run to the end: in turn as far as each can, or, given a *seed*, in random order.

        Raises:
            NotAnOperation: if a task goes round and round without changing anything.
        """
        dice = random.Random(seed)
        last: Task | None = None
        idle = 0
        while not self.machine.done and (ready := self.machine.runnable()):
            if seed is not None:
                last = dice.choice(ready)
            elif last not in ready:
                last = ready[0]
            assert last is not None
            op = self.machine.pending(last)
            event = self.step(last, dice.randrange(op.options) if isinstance(op, Choose) and seed is not None else 0)
            idle = 0 if event.changes else idle + 1
            if idle == guard.MAX_IDLE:
                raise guard.idles(self.stacks[-1][-1])
        return self

    def back(self, steps: int = 1) -> Stepper:
        """Undo the last *steps* steps."""
        return self.jump(len(self.events) - steps)

    def jump(self, step: int) -> Stepper:
        """Go to the state after *step* steps of this run.

        Raises:
            BadSchedule: if the run is not that long.
        """
        if not 0 <= step <= len(self.events):
            raise BadSchedule(f"there is no step {step}: this run has the steps 0 to {len(self.events)}")
        turns = self.trace.turns[:step]
        self._restart()
        return self.play(turns)

    def branch(self, step: int | None = None) -> Stepper:
        """A second run that begins with the first *step* steps of this one and goes its own way."""
        other = Stepper.__new__(Stepper)
        other.world, other.variant, other.setup = self.world, self.variant, self.setup
        other._restart()
        return other.play(self.trace.turns[:step])

    @property
    def runnable(self) -> tuple[Task, ...]:
        """Who could make a step now."""
        return self.machine.runnable()

    @property
    def run_name(self) -> str:
        """The name of the run so far."""
        return self.trace.run_name

    @property
    def trace(self) -> Trace:
        """The run so far."""
        return Trace(
            self.world.name,
            self.setup.params,
            self.variant.name,
            self.setup.tasks,
            dict(self.setup.memory),
            list(self.events),
            list(self.stacks),
            self.machine.verdict(),
            self.setup.nodes,
            self.variant.title,
            list(self.could_run),
            list(self.machine.ops),
            [self.machine.stack(info.task) for info in self.setup.tasks],
        )


def replay(name: str, variants: Mapping[str, Variant] | None = None) -> Trace:
    """Follow a run name.

    Args:
        name: the run name.
        variants: a reader's own variants by name, beside those that come with the project.

    Raises:
        UserError: naming the step at which it cannot be followed, and who could run.
    """
    run = parse_run_name(name)
    variant = (variants or {}).get(run.variant) or find_variant(run.variant)
    return Stepper(run.world.name, variant, "", **run.params).play(run.turns).trace
