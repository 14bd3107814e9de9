"""Asking again only where something has changed: what makes a film of thousands of steps quick to build.

A step changes a field or two, and most of the picture stays.  Nobody writes down what a mark depends on: it is seen
from what it asks the moment (:class:`Noted`), and it is looked at again (:class:`Kept`) when any of that is among the
news of a step (:meth:`vizlib.moments.Run.news`).  Then it often looks as it has looked before: a lock is free again, a
PTE is no longer the one that was touched.  So whatever it said is kept under what it was told, question by question,
and is made anew only when an answer is another than ever.  One that has asked for the step itself is asked again at the
next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from sim.ops import Field, Op
from vizlib.moments import NOTHING, STEP, Actor, Moment

if TYPE_CHECKING:
    from sim.machine import Frame

Answer = TypeVar("Answer")
#: A question to a moment: what is asked, and about what.
Question = tuple[Callable[[Moment, Any], Any], Any]
_NOBODY: Final[frozenset[int]] = frozenset()
#: Who asks more than this is asked anew each time: it is seldom told the same twice, and to keep it takes much room.
MOST_QUESTIONS = 64


class _Said(NamedTuple):
    """What a function has said, and what it has asked."""

    answer: Any
    asked: frozenset[Any]


class _Asked(NamedTuple):
    """A question that a function asks, and by the answer what follows: its next question, or what it says."""

    question: Question
    then: dict[Any, _Asked | _Said]


class Group(Generic[Answer]):
    """Functions of the moment whose answers belong together.

    Attributes:
        functions: they themselves.
        answers: what each says, in their order; an answer that says the same as before is that of before.
        fresh: whether any of them is another than at the moment before.
    """

    def __init__(self, functions: Iterable[Callable[[Moment], Answer]]) -> None:
        self.functions = list(functions)
        self.answers: list[Answer] = []
        self.fresh = True


class Kept:
    """Groups of functions, for moments one after the other; each is asked again when its answer may be another."""

    def __init__(self, *groups: Group[Any]) -> None:
        self._groups = groups
        self._places = [(group, place) for group in groups for place in range(len(group.functions))]
        self._step = -1
        self._known: dict[int, Any] = {}
        self._saw: list[frozenset[Any]] = []
        self._watchers: dict[Any, set[int]] = {}

    def at(self, moment: Moment) -> None:
        """See to it that the groups have the answers at *moment*."""
        follows = moment.step == self._step + 1 and self._step >= 0 and not moment.ended
        self._step = moment.step
        for group in self._groups:
            group.fresh = not follows
        if not follows:
            self._begin(moment)
            return
        news = moment.run.news(moment.step) & self._watchers.keys()
        for number in _NOBODY.union(*map(self._watchers.__getitem__, news)):
            group, place = self._places[number]
            answer, before = self._asked(number, moment), group.answers[place]
            if answer is not before and answer != before:
                group.answers[place] = answer
                group.fresh = True

    def _begin(self, moment: Moment) -> None:
        self._known, self._watchers = {}, {}
        self._saw = [_NOBODY] * len(self._places)
        for group in self._groups:
            group.answers = []
        for number, (group, _) in enumerate(self._places):
            group.answers.append(self._asked(number, moment))

    def _asked(self, number: int, moment: Moment) -> Any:
        said = self._known.get(number)
        while type(said) is _Asked:
            ask, thing = said.question
            said = said.then.get(ask(moment, thing))
        if said is None:
            said = self._anew(number, moment)
        answer, seen = said
        before = self._saw[number]
        if seen is not before:
            for key in before - seen:
                self._watchers[key].discard(number)
            for key in seen - before:
                self._watchers.setdefault(key, set()).add(number)
            self._saw[number] = seen
        return answer

    def _anew(self, number: int, moment: Moment) -> _Said:
        """What the function *number* says, kept under what it is told unless it asks for the step itself."""
        noted = Noted(moment)
        group, place = self._places[number]
        said = _Said(group.functions[place](noted), frozenset(noted.told))
        if STEP not in noted.told and len(noted.told) <= MOST_QUESTIONS:
            its, key = self._known, number
            for question, answer in noted.told.items():
                if key not in its:
                    its[key] = _Asked(question, {})
                its, key = its[key].then, answer
            its[key] = said
        return said


class Noted(Moment):
    """A moment that notes what it is asked.

    Attributes:
        told: the questions, in order, with the answers; also ``STEP``, if that is more than can be said in questions.
    """

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self.told: dict[Any, Any] = {}
        self.run = moment.run
        self.ended = moment.ended
        self.memory = _Noting(self, Moment.remembers)
        self.pending = _Noting(self, Moment.intends)

    def ask(self, question: Callable[[Moment, Any], Any], thing: Any) -> Any:
        """The moment's answer to *question* about *thing*."""
        its = question, thing
        if its not in self.told:
            self.told[its] = question(self._moment, thing)
        return self.told[its]

    def __getattr__(self, name: str) -> Any:
        """What is not here is about the step itself."""
        self.told[STEP] = None
        return getattr(self._moment, name)

    def toucher(self, thing: Any) -> Actor | None:
        """Who made the step, if it named *thing*."""
        return self.ask(Moment.toucher, thing)  # type: ignore[no-any-return]

    def changes(self, field: Field) -> bool:
        """Whether the step changed *field*."""
        return self.ask(Moment.changes, field)  # type: ignore[no-any-return]

    def changed_in(self, thing: Any) -> tuple[Field, ...]:
        """The fields of *thing* that the step changed."""
        return self.ask(Moment.changed_in, thing)  # type: ignore[no-any-return]

    def acts(self, actor: Actor) -> bool:
        """Whether *actor* made the step."""
        return self.ask(Moment.acts, actor)  # type: ignore[no-any-return]

    def flush_by(self, actor: Actor) -> Op | None:
        """The step, if *actor* made it and it takes entries out of the TLB of its CPU."""
        return self.ask(Moment.flush_by, actor)  # type: ignore[no-any-return]

    def can_run(self, actor: Actor) -> bool:
        """Whether *actor* can make a step now."""
        return self.ask(Moment.can_run, actor)  # type: ignore[no-any-return]

    def has_next(self, actor: Actor) -> bool:
        """Whether there is a step that *actor* would make next."""
        return self.ask(Moment.has_next, actor)  # type: ignore[no-any-return]

    def waits_for(self, actor: Actor) -> Field | None:
        """The field that keeps *actor* from running."""
        return self.ask(Moment.waits_for, actor)  # type: ignore[no-any-return]

    def waiters(self, field: Field) -> tuple[Actor, ...]:
        """Those that *field* keeps from running."""
        return self.ask(Moment.waiters, field)  # type: ignore[no-any-return]

    def stack_of(self, actor: Actor) -> tuple[Frame, ...]:
        """Where *actor* stands."""
        return self.ask(Moment.stack_of, actor)  # type: ignore[no-any-return]


class Unlisted(Mapping[Any, Any]):
    """What can be asked, and not listed: that would depend on everything."""

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("a picture that lists the memory depends on all of it")

    def __len__(self) -> int:
        raise TypeError("a picture that counts the memory depends on all of it")


class _Noting(Unlisted):
    """What a moment holds; it notes what it is asked for."""

    def __init__(self, noted: Noted, question: Callable[[Moment, Any], Any]) -> None:
        self._noted = noted
        self._question = question

    def get(self, key: Any, default: Any = None) -> Any:
        found = self._noted.ask(self._question, key)
        return default if found is NOTHING else found

    def __getitem__(self, key: Any) -> Any:
        found = self._noted.ask(self._question, key)
        if found is NOTHING:
            raise KeyError(key)
        return found
