"""A recording of a real kernel as lanes and sentences, like a run of the model.

Lanes are those of :mod:`vizlib.timeline`: the player, the charts and Perfetto take either.  What a thread holds and
waits for is read off the calls and events that the tracer wrote down; what was not recorded is not there.  Times are
the recording's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sim.analysis.recorded import CALLS
from sim.errors import BadTrace, UnknownName
from sim.ftrace import MARK, Record, switch_of
from sim.wording import times
from vizlib import theme
from vizlib.scene import Json
from vizlib.timeline import FORMAT, KINDS, VERSION, columns

#: So many records of a section are drawn; nobody could look at more, and all of them are in memory.
MOST: Final = 200_000

ANON_VMA, MMAP, ENTRY = "anon_vma lock", "mmap_lock", "migration entry"

#: Who takes or gives back which lock: the caller of ``down_read``, ``up_read`` and their kin.  What the compiler has
#: inlined stands there under the name of the function around it.
_TAKERS: Final[Mapping[str, str]] = {
    "folio_lock_anon_vma_read": ANON_VMA,
    "page_lock_anon_vma_read": ANON_VMA,
    "page_unlock_anon_vma_read": ANON_VMA,
    "rmap_walk_anon": ANON_VMA,
    "rmap_walk": ANON_VMA,
    "try_to_migrate": ANON_VMA,
    "try_to_unmap": ANON_VMA,
    "remove_migration_ptes": ANON_VMA,
    "migrate_folio_move": ANON_VMA,
    "migrate_pages_batch": ANON_VMA,
    "kernel_move_pages": MMAP,
    "do_pages_move": MMAP,
    "add_page_for_migration": MMAP,
}
_TAKE: Final = ("down_read", "down_read_trylock", "down_write", "down_write_trylock", "down_read_killable")
_GIVE: Final = ("up_read", "up_write")
_COPIES: Final = frozenset(name for (name, _), count in CALLS.items() if count == "page_copies")
_FLUSHES: Final = frozenset(name for (name, _), count in CALLS.items() if count == "tlb_flushes")

#: What a call does, in words; ``{}`` is what it is for, where its caller tells.
_CALLS: Final[Mapping[str, str]] = {
    "rmap_walk_anon": "walks the reverse map of a page{}",
    "rmap_walk": "walks the reverse map of a page{}",
    "try_to_migrate": "unmaps a page that is to move",
    "try_to_unmap": "unmaps a page",
    "try_to_migrate_one": "puts a migration entry into a PTE",
    "remove_migration_ptes": "maps a page that has moved again",
    "remove_migration_pte": "looks at a PTE that has a migration entry, to map the page again",
    "folio_copy": "copies a page",
    "folio_mc_copy": "copies a page",
    "migrate_page_copy": "copies a page",
    "flush_tlb_mm_range": "flushes TLBs of one range",
    "arch_tlbbatch_flush": "flushes TLBs for a whole batch",
    "try_to_unmap_flush": "flushes what the batch has put off",
    "migration_entry_wait": "meets a migration entry, and waits until the page has moved",
    "migration_entry_wait_on_locked": "sleeps until the page is unlocked",
    "migrate_pages": "begins to move a list of pages",
    "migrate_pages_batch": "begins to move a batch of pages",
    "migrate_pages_sync": "begins to move pages, waiting for those that are busy",
    "migrate_folio_move": "copies and maps a page of the batch",
    "move_to_new_folio": "moves what a page holds to its new frame",
    "flush_tlb_func": "drops entries from this CPU's TLB",
}
_FOR: Final[Mapping[str, str]] = {"unmap_walks": ", to unmap it", "remap_walks": ", to map it again"}


def sentence(record: Record) -> str:
    """What a record says, as one English sentence: who, on which CPU, what, and the kernel's own name for it."""
    who = f"{record.task or 'CPU'}{f'-{record.pid}' if record.pid >= 0 else ''} (CPU {record.cpu})"
    if record.kind == "event":
        return f"{who} {_event(record)}."
    called = f"{record.name}, called by {record.caller}" if record.caller else record.name
    lock = _TAKERS.get(record.caller)
    if lock is not None and record.name in (*_TAKE, *_GIVE):
        does = "gives back" if record.name in _GIVE else "tries to take" if "trylock" in record.name else "takes"
        return f"{who} {does} the {lock} ({called})."
    words = _CALLS.get(record.name, "makes a call")
    return f"{who} {words.format(_FOR.get(CALLS.get((record.name, record.caller), ''), ''))} ({called})."


def _event(record: Record) -> str:
    detail = _details(record.detail)
    match record.name:
        case "tlb_flush" if "remote ipi send" in record.detail:
            return "interrupts other CPUs to flush their TLBs"
        case "tlb_flush" if "remote shootdown" in record.detail:
            return "is interrupted, and flushes the TLB of this CPU"
        case "tlb_flush":
            return "flushes the TLB of this CPU"
        case "sched_switch":
            it = switch_of(record.detail)
            return f"{'is preempted by' if it.runs_on else 'sleeps; next runs'} {it.next_comm or 'another'}"
        case "page_fault_user":
            return f"faults at {detail.get('address', 'an address')}"
        case "contention_begin":
            return f"waits for a lock that another has ({record.detail})"
        case "contention_end":
            return f"waits for that lock no longer ({record.detail})"
        case "set_migration_pte":
            return f"has put a migration entry into the PTE of {detail.get('addr', 'an address')}"
        case "remove_migration_pte":
            return f"has mapped {detail.get('addr', 'an address')} again"
        case "mm_migrate_pages":
            return f"has moved {detail.get('nr_succeeded', 'some')} pages, {detail.get('nr_failed', '0')} failed"
        case "tracing_mark_write":
            return f"notes: {record.detail}"
    return f"says {record.name}: {record.detail}" if record.detail else f"says {record.name}"


def _details(said: str) -> dict[str, str]:
    return dict(it.rstrip(",").split("=", 1) for it in said.split() if "=" in it)


@dataclass
class _Reader:
    """Reads the records of one section into lanes: by thread and kind the intervals (from, to, label)."""

    lanes: dict[int, dict[str, list[tuple[int, int, int]]]] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    last: int = 0
    names: dict[int, str] = field(default_factory=dict)
    _held: dict[tuple[int, str], int] = field(default_factory=dict)
    _away: dict[int, tuple[int, str]] = field(default_factory=dict)
    _met: dict[int, str] = field(default_factory=dict)  # the call that a thread has made last

    def read(self, it: Record) -> None:
        """One more record."""
        self.last = max(self.last, it.time)
        if it.task and not it.task.startswith("<"):  # "<...>" is a thread whose name the tracer has forgotten
            self.names[it.pid] = it.task
        if it.kind != "event":
            self._met[it.pid] = it.name
            self._call(it)
        elif it.name == "tlb_flush" and "remote shootdown" in it.detail:
            self._add(it.pid, "interrupt", it.time, it.time, "takes an interrupt")
        elif it.name == "sched_switch":
            self._switch(it)
        elif it.name == "contention_begin":
            self._away[it.pid] = it.time, "a lock that another has"
        elif it.name == "contention_end" and it.pid in self._away:
            since, what = self._away.pop(it.pid)
            self._add(it.pid, "wait", since, it.time, what)

    def finish(self) -> None:
        """What is still held or waited for lasts to the end."""
        for pid, (since, what) in self._away.items():
            self._add(pid, "wait", since, self.last, what)
        for (pid, lock), since in self._held.items():
            self._add(pid, "hold", since, self.last, lock)

    def _call(self, it: Record) -> None:
        lock = _TAKERS.get(it.caller)
        if lock is not None and it.name in _TAKE:
            self._held.setdefault((it.pid, lock), it.time)
        elif lock is not None and it.name in _GIVE:
            if (since := self._held.pop((it.pid, lock), None)) is not None:
                self._add(it.pid, "hold", since, it.time, lock)
        elif it.name in _COPIES:
            self._add(it.pid, "copy", it.time, it.time + 1, "copies a page")
        elif it.name in _FLUSHES:
            self._add(it.pid, "flush", it.time, it.time, "flushes TLBs")

    def _switch(self, it: Record) -> None:
        said = switch_of(it.detail)
        asleep = said.prev_pid if said.prev_pid >= 0 else it.pid
        if not said.runs_on and self._met.get(asleep, "").startswith("migration_entry_wait"):
            self._away.setdefault(asleep, (it.time, ENTRY))
        if said.next_pid in self._away:
            since, what = self._away.pop(said.next_pid)
            self._add(said.next_pid, "wait", since, it.time, what)

    def _add(self, pid: int, kind: str, start: int, end: int, label: str) -> None:
        lane = self.lanes.setdefault(pid, {it: [] for it in KINDS})
        lane[kind].append((start, end, self.labels.setdefault(label, len(self.labels))))


def chosen(records: Iterable[Record], section: str | None = None) -> tuple[str, list[Record]]:
    """One section of a recording: what stands between its marks BEGIN and END, or all of it if there are none.

    Args:
        records: of the whole recording.
        section: which of its sections; the only one if left away.

    Raises:
        UnknownName: if it has no such section.
        BadTrace: if it has several and none is named, or if one is too long to be drawn.
    """
    found: dict[str, None] = {}
    kept: list[Record] = []
    over = False
    for it in records:
        found.setdefault(it.section)
        if section is None:
            if len(found) > 1:
                raise BadTrace(
                    f"the recording has several sections: choose one with --section, such as {next(iter(found))}"
                )
        elif it.section != section:
            continue
        if it.name == MARK and it.detail.startswith("BEGIN"):
            kept, over = [], False
        elif it.name == MARK and it.detail.startswith("END"):
            over = True
        elif not over:
            kept.append(it)
            if len(kept) > MOST:
                raise BadTrace(f"more than {MOST:,} records are too many to draw: record less, or mark BEGIN and END")
    if section is not None and section not in found:
        raise UnknownName("section", section, tuple(found))
    return section if section is not None else next(iter(found), ""), kept


def recorded_lanes(records: Sequence[Record], section: str = "", *, kernel: str = "", title: str = "") -> Json:
    """The records of one section, as :func:`chosen` gives them, as lanes like those of a run.

    Args:
        records: in order of time.
        section: its name, for the title.
        kernel: its release, for the title.
        title: in place of the section's name.

    Raises:
        BadTrace: if there is nothing to draw; the remedy is named.
    """
    timed = [it for it in records if it.time >= 0]
    reader, start = _Reader(), min((it.time for it in timed), default=0)
    calls = "function" if any(it.kind == "function" for it in timed) else "probe"  # both may tell of one call
    for it in timed:
        if it.kind in (calls, "event"):
            reader.read(it._replace(time=it.time - start))
    reader.finish()
    if not reader.lanes:
        raise BadTrace(
            f"section '{section}' has nothing to draw as lanes: record down_read and up_read with their callers, "
            "folio_copy and tlb:tlb_flush, with times (funcgraph-abstime)"
        )
    system = f"Linux {kernel}" if kernel else "a kernel"
    threads = times(len(reader.lanes), "thread")
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": title or f"{section or 'recording'}, recorded with {system}",
        "world": section or "recording",
        "variant": kernel or "recorded",
        "run_name": f"{section or 'recording'} {kernel}".strip(),
        "times": "recorded",
        "steps": [],
        "start": {"sentence": f"{len(timed):,} records, {threads}, recorded with {system}."},
        "events": len(timed),
        "end": max(reader.last, 1),
        "labels": list(reader.labels),
        "lanes": [
            {
                "task": f"{reader.names.get(pid, '<...>')}-{pid}",
                "colour": theme.task_colour(number),
                **{kind: columns(its[kind]) for kind in KINDS if its[kind]},
            }
            for number, (pid, its) in enumerate(sorted(reader.lanes.items()))
        ],
        "wakes": [],
    }
