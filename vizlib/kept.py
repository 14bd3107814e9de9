"""Asking again only where something has changed: what makes a film of thousands of steps quick to build.

A step changes a field or two, and most of the picture stays.  Nobody writes down what a mark depends on: it is seen
from what it asks the moment (:class:`Noted`), and it is asked again (:class:`Kept`) when any of that is among the
news of a step (:meth:`vizlib.moments.Run.news`).  One that has asked for the step itself is asked again at the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from sim.ops import Field
from vizlib.moments import STEP, Actor, Moment, waiting

if TYPE_CHECKING:
    from sim.machine import Frame

Answer = TypeVar("Answer")
_NOBODY: Final[frozenset[int]] = frozenset()


class Kept(Generic[Answer]):
    """Functions of the moment, for moments one after the other; each is asked again when its answer may be another.

    Attributes:
        answers: what each function says, in their order; an answer that says the same as before is that of before.
        fresh: whether any of them is another than at the moment before.
    """

    def __init__(self, functions: Iterable[Callable[[Moment], Answer]]) -> None:
        self._functions = list(functions)
        self._step = -1
        self._saw: list[set[Any]] = [set() for _ in self._functions]
        self._watchers: dict[Any, set[int]] = {}
        self.answers: list[Answer] = []
        self.fresh = True

    def at(self, moment: Moment) -> list[Answer]:
        """The answers at *moment*."""
        follows = bool(self.answers) and moment.step == self._step + 1 and not moment.ended
        self._step = moment.step
        if not follows:
            self.answers = [self._asked(number, moment) for number in range(len(self._functions))]
            self.fresh = True
            return self.answers
        stale: set[int] = set()
        for key in moment.run.news(moment.step):
            stale |= self._watchers.get(key, _NOBODY)
        self.fresh = False
        for number in stale:
            answer = self._asked(number, moment)
            if answer != self.answers[number]:
                self.answers[number] = answer
                self.fresh = True
        return self.answers

    def _asked(self, number: int, moment: Moment) -> Answer:
        seen: set[Any] = set()
        answer = self._functions[number](Noted(moment, seen))
        for key in self._saw[number] - seen:
            self._watchers[key].discard(number)
        for key in seen - self._saw[number]:
            self._watchers.setdefault(key, set()).add(number)
        self._saw[number] = seen
        return answer


class Noted(Moment):
    """A moment that notes in *seen* what it is asked for: fields, objects and tasks, or ``STEP``."""

    def __init__(self, moment: Moment, seen: set[Any]) -> None:
        self._moment = moment
        self._seen = seen
        self.run = moment.run
        self.ended = moment.ended
        self.memory = _Memory(moment.memory, seen)
        self.pending = _Memory(moment.pending, seen)

    def __getattr__(self, name: str) -> Any:
        """What is not here is about the step itself."""
        self._seen.add(STEP)
        return getattr(self._moment, name)

    def toucher(self, thing: Any) -> Actor | None:
        """Who made the step, if it named *thing*."""
        self._seen.add(thing)
        return self._moment.toucher(thing)

    def changes(self, field: Field) -> bool:
        """Whether the step changed *field*."""
        self._seen.add(field)
        return self._moment.changes(field)

    def acts(self, actor: Actor) -> bool:
        """Whether *actor* made the step."""
        self._seen.add(actor.task)
        return self._moment.acts(actor)

    def can_run(self, actor: Actor) -> bool:
        """Whether *actor* can make a step now."""
        self._seen.add(actor.task)
        return self._moment.can_run(actor)

    def waits_for(self, actor: Actor) -> Field | None:
        """The field that keeps *actor* from running."""
        self._seen.add(waiting(actor))
        return self._moment.waits_for(actor)

    def stack_of(self, actor: Actor) -> tuple[Frame, ...]:
        """Where *actor* stands."""
        self._seen.add(actor.task)
        return self._moment.stack_of(actor)


class Unlisted(Mapping[Any, Any]):
    """What can be asked, and not listed: that would depend on everything."""

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("a picture that lists the memory depends on all of it")

    def __len__(self) -> int:
        raise TypeError("a picture that counts the memory depends on all of it")


class _Memory(Unlisted):
    """What a moment holds; it notes what it is asked for."""

    def __init__(self, its: Mapping[Any, Any], seen: set[Any]) -> None:
        self._its = its
        self._seen = seen

    def get(self, key: Any, default: Any = None) -> Any:
        self._seen.add(key)
        return self._its.get(key, default)

    def __getitem__(self, key: Any) -> Any:
        self._seen.add(key)
        return self._its[key]
