"""Traces of real kernels in: what ftrace, trace-cmd and perf print, record by record.

    recording = Recording(lines_of(Path("trace.txt")))
    for record in recording:
        ...
    recording.lines, recording.unknown

Read are the text of ``trace`` and ``trace_pipe`` (function tracer, function_graph, kprobes, tracepoints), of
``trace-cmd report``, and of ``perf script``.  One line is read at a time, so that memory does not grow with the file.
Nothing that stands in a file is fatal: lines of no known shape are counted, and so are times that run backwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

from sim.errors import BadTrace

#: A line is cut here (bytes); no tracer prints longer ones, and a damaged file may have no line ends at all.
LONGEST: Final = 10_000

#: ``mig-3151    [000] d..2.    78.930959: `` and what follows; trace-cmd prints no flags, some kernels a thread group.
_TRACE = re.compile(
    r"\s*(?P<task>.{1,64}?)-(?P<pid>\d+)\s+(?:\(\s*[\d-]*\)\s+)?\[(?P<cpu>\d+)\]\s+(?:[\w.#]{4,6}\s+)?"
    r"(?P<time>\d+\.\d+):\s+(?P<rest>.*)"
)
#: ``mig  3151 [000]    78.930959:          1 tlb:tlb_flush: `` and what follows.
_PERF = re.compile(
    r"\s*(?P<task>\S.{0,63}?)\s+(?P<pid>\d+)(?:/\d+)?\s+\[(?P<cpu>\d+)\]\s+(?P<time>\d+\.\d+):\s+(?:\d+\s+)?"
    r"(?P<rest>\w+:\w+:.*)"
)
#: ``   41.188449 |   0)    mig-1748    | + 10.575 us   |    folio_isolate_lru();``; time and task only if asked for.
_GRAPH = re.compile(
    r"\s*(?:(?P<time>\d+\.\d+)\s+\|\s+)?(?P<cpu>\d+)\)\s+(?:(?P<task>\S.{0,63}?)-(?P<pid>\d+)\s+\|)?"
    r"[^|]*\|(?P<rest>\s.*)"
)
_FUNCTION = re.compile(r"(?P<name>[\w.]+)(?: \[\w+\])?\s+<--?\s*(?P<caller>[\w.]+)")
#: trace-cmd and perf make an event of a call.
_EVENT_OF_A_CALL = re.compile(r"^(?:ftrace:)?function:\s*")
_EVENT = re.compile(r"(?:\w+:)?(?P<name>[\w.]+):(?:\s+(?P<detail>.*))?$")
_CALL = re.compile(r"(?P<name>[\w.]+)(?: \[\w+\])?\(\)(?P<more>;| \{)")
_NOTE = re.compile(r"/\*\s*(?:(?P<name>[\w.]+):\s?)?(?P<detail>.*?)\s*\*/$")
#: Lines that say nothing of a run: comments, frames of a stack, who follows whom on a CPU, and headers.
_SILENT = re.compile(r"\s*(?:#|-{5,}|[0-9a-f]{6,16}\s|=> |\d+\)\s.*=>|(?:version|cpus)\s*=\s*\d+|$)")
_KERNEL = re.compile(r"#\s*Linux (?:version )?(\d[\w.+~-]*)")
_SECTION = re.compile(r"# =+ SECTION (\w+)")
_LOST = re.compile(r"CPU:?\s?\d+ \[(?:LOST (?P<events>\d+) EVENTS|EVENTS DROPPED)\]")


class Record(NamedTuple):
    """One call of a kernel function, or one event.

    Attributes:
        kind: ``function`` or ``event``.
        name: of the function or event, without the name of its subsystem.
        caller: which function called it, "" where the tracer does not say.
        detail: what an event says of itself; "" for a function.
        task: the thread's name (``comm``), as it stands there.
        pid: its number; -1 where the tracer does not say.
        cpu: on which CPU.
        time: in nanoseconds, by the recording's clock; -1 where it has none.
        section: of the file, "" before the first heading ``# ===== SECTION name``.
    """

    kind: Literal["function", "event"]
    name: str
    caller: str
    detail: str
    task: str
    pid: int
    cpu: int
    time: int
    section: str


@dataclass
class Recording:
    """The records of a trace, one line after the other, and what was met on the way.

    Attributes:
        source: lines, as text or bytes; bytes that are no UTF-8 are replaced.
        lines: how many have been read.
        unknown: how many had no shape that is known here.
        backwards: how many had a time before that of the line before them on the same CPU.
        lost: how many events the tracer itself says that it lost.
        kernel: its release, if a comment names it (``# Linux 6.1.0-56-amd64``).
    """

    source: Iterable[str | bytes]
    lines: int = 0
    unknown: int = 0
    backwards: int = 0
    lost: int = 0
    kernel: str = ""
    _section: str = ""
    _open: dict[tuple[int, int], list[str]] = field(default_factory=dict)  # function_graph: (cpu, pid) -> calls
    _last: dict[int, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Record]:
        for line in self.source:
            self.lines += 1
            text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
            record = self._read(text[:LONGEST].rstrip("\r\n\0"))
            if record is not None:
                if record.time >= 0:
                    self.backwards += record.time < self._last.get(record.cpu, 0)
                    self._last[record.cpu] = record.time
                yield record

    def _read(self, line: str) -> Record | None:
        if found := _TRACE.match(line) or _PERF.match(line):
            return self._traced(found)
        if found := _SECTION.match(line):
            self._section = found[1]
            self._last.clear()  # each was recorded by itself
        elif not self.kernel and (found := _KERNEL.match(line)):
            self.kernel = found[1]
        elif found := _LOST.match(line):
            self.lost += int(found["events"] or 1)
        elif _SILENT.match(line):
            pass
        elif found := _GRAPH.match(line):
            return self._drawn(found)
        else:
            self.unknown += 1
        return None

    def _traced(self, found: re.Match[str]) -> Record | None:
        """A line of the function tracer, of a tracepoint or of a kprobe."""
        rest = _EVENT_OF_A_CALL.sub("", found["rest"], count=1)
        if call := _FUNCTION.match(rest):
            return self._record(found, "function", call["name"], call["caller"])
        if event := _EVENT.match(rest):
            return self._record(found, "event", event["name"], detail=event["detail"] or "")
        self.unknown += 1
        return None

    def _drawn(self, found: re.Match[str]) -> Record | None:
        """A line of function_graph: a call begins, a call ends, or an event stands among them."""
        body = found["rest"].strip()
        calls = self._open.setdefault((int(found["cpu"]), int(found["pid"] or -1)), [])
        if call := _CALL.match(body):
            caller = calls[-1] if calls else ""
            if call["more"] != ";":
                calls.append(call["name"])
            return self._record(found, "function", call["name"], caller)
        if body.startswith("}"):
            if calls:
                calls.pop()
            return None
        if note := _NOTE.match(body):
            name = note["name"] or "tracing_mark_write"
            return self._record(found, "event", name, calls[-1] if calls else "", note["detail"])
        self.unknown += 1
        return None

    def _record(
        self, found: re.Match[str], kind: Literal["function", "event"], name: str, caller: str = "", detail: str = ""
    ) -> Record:
        task, pid, time = found["task"] or "", int(found["pid"] or -1), found["time"]
        return Record(kind, name, caller, detail, task, pid, int(found["cpu"]), _ns(time), self._section)


def _ns(time: str | None) -> int:
    """Seconds with a fraction, exactly, in nanoseconds."""
    if time is None:
        return -1
    seconds, _, fraction = time.partition(".")
    return int(seconds) * 10**9 + int(fraction[:9].ljust(9, "0"))


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file, of which none is longer than :data:`LONGEST` bytes.

    Raises:
        BadTrace: if it cannot be read, with the reason.
    """
    try:
        with path.open("rb") as file:
            yield from iter(lambda: file.readline(LONGEST), b"")
    except OSError as error:
        raise BadTrace(f"{path} cannot be read: {error.strerror}") from error
