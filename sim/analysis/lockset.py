"""The table from data to locks, inferred: what is held at every write of a field and at every read.

Not of one run, as a tool that watches a kernel sees it, but of every explored state (:mod:`sim.analysis.accesses`).
An access counts if another task could find the object: what happens to it before it is published or after it is
unlinked needs no lock.  Two accesses by different tasks, one of them a store, are safe from each other if they hold
one lock in common and one of them holds it alone, or if the stores are atomic.  What hardware stores (user code, the
MMU, TLBs, interrupt requests) takes no locks and is left out of the comparison.  A read section of RCU is told as a
lock that all readers share; it keeps memory from being given away, and no value from changing.

The idea is that of S. Savage et al., Eraser, ACM TOCS 15 (1997), 391-411; what differs is that every schedule is seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sim.analysis.accesses import ATOMIC, HARDWARE, RCU_SECTION, READ, WRITE, Access, Observed
from sim.analysis.guards import Term, locks_of
from sim.structs import STRUCTS

#: How a role begins that is not the same lock every time.
_SOME = "some "
#: What is wrong with a field, or worth a look.
NOTHING, TWO, BARE_READS = "protected by nothing", "protected by two", "read without it"


@dataclass(frozen=True, slots=True)
class Line:
    """One field of one struct.

    Attributes:
        name: such as ``AnonVmaChain.rb_left``; guard: as :mod:`sim.structs` declares it.
        at_writes, at_reads: the roles of the locks held each time; `` read`` after those that are only shared.
        protection: what keeps tasks out of each other's way: locks, ``atomic``, ``never written``, ``one task``, ...
        flag: :data:`NOTHING`, :data:`TWO`, :data:`BARE_READS` or nothing.
        writers, readers: the functions that do it; private: those that do it before publication or after unlinking.
        bare: those of which two accesses met without a common lock; the readers, if only they lack it.
        broken: the functions that write without what the guard asks for.
    """

    name: str
    guard: str
    at_writes: tuple[str, ...]
    at_reads: tuple[str, ...]
    protection: str
    flag: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    private: tuple[str, ...]
    bare: tuple[str, ...]
    broken: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The line as JSON values."""
        return {name: _plain(getattr(self, name)) for name in Line.__slots__}


@dataclass(frozen=True, slots=True)
class Lockset:
    """The table of one variant over some worlds; *complete* says whether every state of each was met."""

    worlds: tuple[str, ...]
    variant: str
    states: int
    complete: bool
    lines: tuple[Line, ...]

    def line(self, name: str) -> Line:
        """The line of a field such as ``Page.mapping``."""
        return next(it for it in self.lines if it.name == name)

    def to_json(self) -> dict[str, Any]:
        """The table as JSON values."""
        return {
            "worlds": list(self.worlds),
            "variant": self.variant,
            "states": self.states,
            "complete": self.complete,
            "fields": {it.name: it.to_json() for it in self.lines},
        }

    @property
    def broken(self) -> tuple[str, ...]:
        """The fields that are written without what their guard asks for."""
        return tuple(it.name for it in self.lines if it.broken)

    def __str__(self) -> str:
        return "\n".join(self._text())

    def _text(self) -> Iterator[str]:
        whole = "all" if self.complete else "not all"
        yield f"{', '.join(self.worlds)} under {self.variant}: {self.states:,} states, {whole} there are"
        head = ("field", "at every write", "at every read", "protection")
        rows = [(it.name, _list(it.at_writes, it.writers), _list(it.at_reads, it.readers), it) for it in self.lines]
        wide = [max(len(head[at]), *(len(str(row[at])) for row in rows), 0) for at in range(3)]
        yield "  ".join((*(f"{head[at]:{wide[at]}}" for at in range(3)), head[3]))
        for name, writes, reads, it in rows:
            yield f"{name:{wide[0]}}  {writes:{wide[1]}}  {reads:{wide[2]}}  {it.protection}" + _marks(it)


def _marks(it: Line) -> str:
    said = f"  ! {it.flag}" if it.flag else ""
    if it.bare:
        said += f" in {', '.join(it.bare)}"
    return said + (f"  ! not as declared ({it.guard}) in {', '.join(it.broken)}" if it.broken else "")


def _list(locks: Sequence[str], functions: Sequence[str]) -> str:
    return ", ".join(locks) or ("no lock" if functions else "-")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def lockset(observed: Sequence[Observed]) -> Lockset:
    """The table of what was observed in some worlds under one variant."""
    by_field: dict[str, list[tuple[Observed, Access]]] = {}
    for it in observed:
        for access in it.accesses:
            by_field.setdefault(f"{type(access.field.ref).__name__}.{access.field.base}", []).append((it, access))
    order = [f"{struct}.{name}" for struct, it in STRUCTS.items() for name in it.fields()]
    names = [it for it in order if it in by_field] + sorted(by_field.keys() - set(order))
    return Lockset(
        tuple(it.world for it in observed),
        observed[0].variant,
        sum(it.states for it in observed),
        all(it.complete for it in observed),
        tuple(_line(name, by_field[name]) for name in names),
    )


def _line(name: str, its: Sequence[tuple[Observed, Access]]) -> Line:
    accesses = [access for _, access in its]
    shared = [it for it in accesses if not it.private]
    writes, reads = [it for it in shared if it.kind in (WRITE, ATOMIC)], [it for it in shared if it.kind == READ]
    by_hardware = any(it.kind == HARDWARE for it in shared)
    pairs = [pair for per_place in _places(its) for pair in _meetings(per_place)]
    bad = [pair for pair in pairs if not _is_safe(*pair)]
    guard = accesses[0].field.guard
    known = {it.role for its in locks_of(guard) for it in its}
    at_writes, at_reads = held_always(writes, known), held_always(reads, known)
    protection, flag = _protection(writes, at_writes, at_reads if reads else at_writes, pairs, bad)
    if by_hardware:
        protection = f"{protection}; and hardware" if writes else "hardware only"
    return Line(
        name,
        guard,
        tuple(map(_spell, at_writes)),
        tuple(map(_spell, at_reads)),
        protection,
        flag,
        _functions(writes),
        _functions(reads),
        _functions(it for it in accesses if it.private),
        _functions(it for pair in bad for it in pair if flag != BARE_READS or it.kind == READ),
        _functions(it for it in writes if not obeys(it, guard)),
    )


def _places(its: Iterable[tuple[Observed, Access]]) -> Iterable[list[Access]]:
    """The accesses that others could meet, for each place in memory of each world."""
    places: dict[Any, list[Access]] = {}
    for observed, access in its:
        if not access.private:
            places.setdefault((observed.world, access.field), []).append(access)
    return places.values()


def _meetings(accesses: Sequence[Access]) -> Iterator[tuple[Access, Access]]:
    """The pairs of accesses to one place by different tasks, one of them a store."""
    for at, one in enumerate(accesses):
        for other in accesses[at:]:
            kinds = {one.kind, other.kind}
            if one.task is not other.task and kinds != {READ} and HARDWARE not in kinds:
                yield one, other


def _is_safe(one: Access, other: Access) -> bool:
    if WRITE not in (one.kind, other.kind):
        return True  # atomic stores, and loads
    theirs = {it.lock: it.alone for it in other.holds}
    return any(it.lock in theirs and (it.alone or theirs[it.lock]) for it in one.holds)


def _protection(
    writes: Sequence[Access],
    at_writes: Sequence[Term],
    at_reads: Sequence[Term],
    pairs: Sequence[tuple[Access, Access]],
    bad: Sequence[tuple[Access, Access]],
) -> tuple[str, str]:
    """What protects a field, and the flag."""
    if not writes:
        return "never written once it can be found", ""
    if not pairs:
        return "one task only", ""
    alone = [it.role for it in at_writes if it.alone and not it.role.startswith(_SOME)]
    enough = [it for it in alone if it in {held.role for held in at_reads}]
    if bad:
        if alone and all(READ in (one.kind, other.kind) for one, other in bad):
            if all(_in_rcu(it) for pair in bad for it in pair if it.kind == READ):
                return f"{', '.join(alone)} for writers, rcu for readers", ""
            return f"{', '.join(alone)} for writers", BARE_READS
        return "nothing", NOTHING
    if all(it.kind == ATOMIC for it in writes):
        return ", ".join(("atomic", *enough)), ""
    if len(enough) == 1:
        return enough[0], ""
    if enough:
        return f"{', '.join(enough)}: each would be enough", TWO
    return f"{' + '.join(map(_spell, at_writes)) or 'different locks'}: writers hold all, readers one of them", TWO


def _in_rcu(it: Access) -> bool:
    return any(RCU_SECTION in held.roles for held in it.holds)


# --- roles that hold every time --------------------------------------------------------------------------


def held_always(accesses: Sequence[Access], known: Collection[str] = ()) -> list[Term]:
    """The locks held at every one of *accesses*, each by its plainest role, a *known* one if it has one.

    ``alone`` only if it is so each time.  A lock of which only the struct is the same each time is told if there is no
    other: ``some PageTable.ptl``.
    """
    if not accesses:
        return []
    found = set.intersection(*map(_terms, accesses))
    one_lock: dict[Any, list[Term]] = {}
    for term in found:
        if term.alone or Term(term.role, True) not in found:
            which = tuple(frozenset(it.lock for it in access.holds if term.role in it.roles) for access in accesses)
            one_lock.setdefault(which, []).append(term)
    best = [min(its, key=lambda it: (it.role not in known, _plainness(it))) for its in one_lock.values()]
    certain = [it for it in best if not it.role.startswith(_SOME)]
    return sorted(certain or best, key=_plainness)


def _terms(access: Access) -> set[Term]:
    """The locks that are held, by each of their roles; who holds a lock alone holds all that sharing it would give."""
    return {Term(role, alone) for it in access.holds for role in it.roles for alone in {it.alone, False}}


def _plainness(it: Term) -> tuple[bool, bool, int, int, str]:
    return it.role.startswith(_SOME), "[" in it.role, it.role.count("."), len(it.role), it.role


def _spell(it: Term) -> str:
    return it.role if it.alone or it.role == RCU_SECTION else f"{it.role} read"


def _functions(accesses: Iterable[Access]) -> tuple[str, ...]:
    return tuple(sorted({it.function for it in accesses}))


# --- what was declared -----------------------------------------------------------------------------------


def obeys(access: Access, guard: str) -> bool:
    """Whether a store that others could meet is made as the field's *guard* asks."""
    if guard == "atomic":
        return access.kind == ATOMIC
    if guard == "set once":
        return access.first
    if guard == "cpu":
        return access.cpu is access.field.ref
    enough = locks_of(guard)
    return not enough or any(its <= _terms(access) for its in enough)
