"""Traces of real kernels in: what ftrace, trace-cmd and perf print, record by record.

    recording = Recording(lines_of(Path("trace.txt")))
    for record in recording:
        ...
    recording.lines, recording.unknown

Read are the text of ``trace`` and ``trace_pipe`` (function tracer, function_graph, kprobes, tracepoints), of
``trace-cmd report``, and of ``perf script``, with or without call stacks.  One line is read at a time, so that memory
does not grow with the file.  Nothing that stands in a file is fatal: lines of no known shape are counted, and so are
times that run backwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

from sim.errors import BadTrace

#: A line is cut here (bytes); no tracer prints longer ones, and a damaged file may have no line ends at all.
LONGEST: Final = 4_000

#: So many frames of a call stack are kept, and so many calls within one another: no kernel stack is deeper.
DEEPEST: Final = 64
#: What the kernel calls a line that a program has written into ``trace_marker``.
MARK: Final = "tracing_mark_write"
#: So many nestings of function_graph (CPU and task) are told apart at once.
_NESTINGS: Final = 10_000

#: ``mig-3151    [000] d..2.    78.930959: `` and what follows; trace-cmd prints no flags, some kernels a thread group.
_TRACE = re.compile(
    r"\s*(?P<task>.{1,64}?)-(?P<pid>\d{1,10})\s+(?:\(\s*[\d-]*\)\s+)?\[(?P<cpu>\d{1,5})\]\s+(?:[\w.#]{4,6}\s+)?"
    r"(?P<time>\d{1,12}\.\d+):\s+(?P<rest>.*)"
)
#: ``mig  3151 [000]    78.930959:          1 tlb:tlb_flush: `` and what follows.
_PERF = re.compile(
    r"\s*(?P<task>\S.{0,63}?)\s+(?P<pid>\d{1,10})(?:/\d+)?\s+\[(?P<cpu>\d{1,5})\]\s+"
    r"(?P<time>\d{1,12}\.\d+):\s+(?:\d+\s+)?(?P<rest>\w+:\w+:.*)"
)
#: ``   41.188449 |   0)    mig-1748    | + 10.575 us   |    folio_isolate_lru();``; time and task only if asked for.
_GRAPH = re.compile(
    r"\s*(?:(?P<time>\d{1,12}\.\d+)\s+\|\s+)?(?P<cpu>\d{1,5})\)\s+"
    r"(?:(?P<task>\S.{0,63}?)-(?P<pid>\d{1,10})\s+\|)?[^|]*\|(?P<rest>\s.*)"
)
_FUNCTION = re.compile(r"(?P<name>[\w.]+)(?: \[\w+\])?\s+<--?\s*(?P<caller>[\w.]+)")
#: trace-cmd and perf make an event of a call.
_EVENT_OF_A_CALL = re.compile(r"^(?:ftrace:)?function:\s*")
_EVENT = re.compile(r"(?:(?P<group>\w+):)?(?P<name>[\w.]+):(?:\s+(?P<detail>.*))?$")
#: A kprobe at the head of a function says where it is, ``(try_to_migrate+0x4/0x110) folio=0xffd4``; perf's says
#: ``probe:try_to_migrate: (ffffffff812a1b60)``.
_PROBE = re.compile(r"\((?P<name>[\w.]+)\+0x[0-9a-f](?:/0x[0-9a-f]+)?\)\s*(?P<detail>.*)")
_PERF_PROBE = re.compile(r"\([0-9a-f]+\)\s*(?P<detail>.*)")
_CALL = re.compile(r"(?P<name>[\w.]+)(?: \[\w+\])?\(\)(?P<more>;| \{)")
#: trace-cmd makes events of the lines of function_graph.
_GRAPH_EVENT = re.compile(r"funcgraph_(?:entry|exit):[^|]*\|\s*(?P<body>\S.*)")
_NAMED = re.compile(r"(?P<name>[\w.]+):\s?(?P<detail>.*)")
_MARKED = re.compile(r"(?:tracing_mark_write|0x[0-9a-f]+|[0-9a-f]{16})\s?:\s?")
_FRAME = re.compile(r"\s*(?:=> (?P<ftrace>[\w.]+)|[0-9a-f]{1,16}\s+(?P<perf>[\w.]+)(?:\+0x[0-9a-f]+)?\s+\()")
_STACK = re.compile(r"(?:kernel_stack:\s*)?<stack trace ?>")
#: Lines that say nothing of a run: comments, frames of a stack, who follows whom on a CPU, and headers.
_SILENT = re.compile(
    r"\t\s*[0-9a-f]{1,16}\s|\s*(?:#|-{5,}|[0-9a-f]{6,16}\s|=> |\d+\)\s.*=>|(?:version|cpus)\s*=\s*\d+|$)"
)
#: perf script --header says ``# os release : 6.1.0-56-amd64``.
_KERNEL = re.compile(r"#\s*(?:Linux|os release :) (?:version )?(\d[\w.+~-]*)")
_SECTION = re.compile(r"# =+ SECTION (\w+)")
#: bpftrace says "Lost 12 events".
_LOST = re.compile(r"(?:CPU:?\s?\d+ )?\[?(?:(?:LOST|Lost) (?P<events>\d+) (?:EVENTS|events)|EVENTS DROPPED)\]?")


class Record(NamedTuple):
    """One call of a kernel function, or one event.

    Attributes:
        kind: ``function``, ``probe`` (a call too, but told by a kprobe: both may tell of one call) or ``event``.
        name: of the function or event, without the name of its subsystem.
        caller: which function called it, "" where the tracer does not say.
        detail: what an event or probe says of itself; "" for a function.
        task: the thread's name (``comm``), as it stands there.
        pid: its number; -1 where the tracer does not say.
        cpu: on which CPU.
        time: in nanoseconds, by the recording's clock; -1 where it has none.
        section: of the file, "" before the first heading ``# ===== SECTION name``.
        stack: the functions that stand below it, innermost first, if the recording has call stacks.
    """

    kind: Literal["function", "probe", "event"]
    name: str
    caller: str
    detail: str
    task: str
    pid: int
    cpu: int
    time: int
    section: str
    stack: tuple[str, ...] = ()


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
    _stack_is_held: bool = True  # the frames that come now are those of the record before them

    def __iter__(self) -> Iterator[Record]:
        held: Record | None = None  # until it is known which call stack follows
        stack: list[str] = []
        for line in self.source:
            self.lines += 1
            text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
            text = text[:LONGEST].rstrip("\r\n\0")
            if frame := _FRAME.match(text):
                if self._stack_is_held and len(stack) < DEEPEST:
                    stack.append(frame["ftrace"] or frame["perf"])
            elif (record := self._read(text, held)) is not None:
                if held is not None:
                    yield _with_stack(held, stack)
                held, stack, self._stack_is_held = record, [], True
                if record.time >= 0:
                    self.backwards += record.time < self._last.get(record.cpu, 0)
                    self._last[record.cpu] = record.time
        if held is not None:
            yield _with_stack(held, stack)

    def _read(self, line: str, held: Record | None) -> Record | None:
        if found := _TRACE.match(line) or _PERF.match(line):
            if _STACK.match(found["rest"]):
                self._stack_is_held = held is not None and held.pid == int(found["pid"])
                return None
            return self._traced(found)
        if found := _SECTION.match(line):
            self._section = found[1]
            self._last.clear()  # each was recorded by itself
            self._open.clear()
        elif not self.kernel and (found := _KERNEL.match(line)):
            self.kernel = found[1]
        elif found := _LOST.match(line):
            self.lost += int((found["events"] or "1")[:9])
        elif _SILENT.match(line):
            pass
        elif found := _GRAPH.match(line):
            return self._drawn(found, found["rest"].strip())
        else:
            self.unknown += 1
        return None

    def _traced(self, found: re.Match[str]) -> Record | None:
        """A line of the function tracer, of a tracepoint or of a kprobe."""
        rest = _EVENT_OF_A_CALL.sub("", found["rest"], count=1)
        if drawn := _GRAPH_EVENT.match(rest):
            return self._drawn(found, drawn["body"].strip())
        if call := _FUNCTION.match(rest):
            return self._record(found, "function", call["name"], call["caller"])
        if event := _EVENT.match(rest):
            detail = event["detail"] or ""
            if probe := _PROBE.match(detail):
                return self._record(found, "probe", probe["name"], detail=probe["detail"])
            if event["group"] == "probe" and (probe := _PERF_PROBE.match(detail)):
                return self._record(found, "probe", event["name"], detail=probe["detail"])
            if event["name"] == "print":  # trace-cmd's and perf's name for what was written into trace_marker
                return self._record(found, "event", MARK, detail=_MARKED.sub("", detail, count=1))
            return self._record(found, "event", event["name"], detail=detail)
        self.unknown += 1
        return None

    def _drawn(self, found: re.Match[str], body: str) -> Record | None:
        """A line of function_graph: a call begins, a call ends, or an event stands among them."""
        whose = int(found["cpu"]), int(found["pid"] or -1)
        if len(self._open) >= _NESTINGS and whose not in self._open:
            self._open.clear()
        calls = self._open.setdefault(whose, [])
        if call := _CALL.match(body):
            caller = calls[-1] if calls else ""
            if call["more"] != ";":
                calls.append(call["name"])
                del calls[:-DEEPEST]
            return self._record(found, "function", call["name"], caller)
        if body.startswith("}"):
            if calls:
                calls.pop()
            return None
        if body.startswith("/*") and body.endswith("*/"):
            told = body[2:-2].strip()
            named = _NAMED.match(told)
            name, detail = (named["name"], named["detail"]) if named else (MARK, told)
            return self._record(found, "event", name, calls[-1] if calls else "", detail)
        self.unknown += 1
        return None

    def _record(
        self,
        found: re.Match[str],
        kind: Literal["function", "probe", "event"],
        name: str,
        caller: str = "",
        detail: str = "",
    ) -> Record:
        task, pid, time = found["task"] or "", int(found["pid"] or -1), found["time"]
        return Record(kind, name, caller, detail, task, pid, int(found["cpu"]), _ns(time), self._section)


class Switch(NamedTuple):
    """What ``sched_switch`` says: who leaves its CPU, whether it could go on, and who runs next; -1 if it does not."""

    prev_pid: int
    runs_on: bool
    next_comm: str
    next_pid: int


#: The kernel's own words, and those of trace-cmd's plugin: ``mig:31 [120] D ==> swapper/0:0 [120]``.
_SWITCH = re.compile(
    r"(?:.*?prev_pid=(?P<pid>\d{1,10}))?.*?prev_state=(?P<state>\S+)(?:.*?next_comm=(?P<next>.*?))?"
    r"(?:\s+next_pid=(?P<next_pid>\d{1,10}).*)?$"
)
_PLUGIN_SWITCH = re.compile(
    r".*?:(?P<pid>\d{1,10}) \[-?\d+\] (?P<state>\S+) ==> (?P<next>.*):(?P<next_pid>\d{1,10}) \[-?\d+\]$"
)


def switch_of(detail: str) -> Switch:
    """The detail of a ``sched_switch``, read."""
    found = _SWITCH.match(detail) or _PLUGIN_SWITCH.match(detail)
    if found is None:
        return Switch(-1, False, "", -1)
    numbers = [int(it) if it else -1 for it in (found["pid"], found["next_pid"])]
    return Switch(numbers[0], found["state"].startswith("R"), found["next"] or "", numbers[1])


def _with_stack(record: Record, stack: list[str]) -> Record:
    """What stands below a call in its stack has called it."""
    if not stack:
        return record
    caller = next((it for it in stack if it != record.name), "")
    return record._replace(stack=tuple(stack), caller=record.caller or (caller if record.kind != "event" else ""))


def _ns(time: str | None) -> int:
    """Seconds with a fraction, exactly, in nanoseconds."""
    if time is None:
        return -1
    seconds, _, fraction = time.partition(".")
    return int(seconds) * 10**9 + int(fraction[:9].ljust(9, "0"))


#: How many lines are read between two words of progress.
_OFTEN: Final = 20_000


def watched(lines: Iterable[bytes], told: Callable[[int], object] | None) -> Iterator[bytes]:
    """The same lines; *told* hears from time to time how many there were."""
    for number, line in enumerate(lines):
        if told is not None and number % _OFTEN == 0:
            told(number)
        yield line


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
