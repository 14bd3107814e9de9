"""What CPUs share and only one of them can have at a time, other than locks: a cache line, the memory of a node.

Each is busy for a while with whoever uses it, and who comes meanwhile waits its turn.  Readers of a rwsem share the
lock but not the line that its count is in; copies on different CPUs share the bandwidth of the nodes they read and
write.
"""

from __future__ import annotations

from sim.engines.costs import Costs
from sim.machine import Machine
from sim.ops import Acquire, CopyPage, Field, Release, TryAcquire


class Shared:
    """The shared things of one run."""

    def __init__(self, machine: Machine, costs: Costs) -> None:
        self._tasks, self._memory = machine.tasks, machine.memory
        self._line, self._copy = costs["rwsem_line"], costs["copy_memory"]
        self._lines: dict[Field, tuple[object, int]] = {}  # which CPU had the line last, and until when
        self._busy: dict[int, int] = {}  # until when the memory of a node is busy

    def count(self, i: int, op: Acquire | TryAcquire | Release, at: int) -> int:
        """Task *i* changes a rwsem's count at time *at*: how long it waits for the line (ns); 0 for other locks."""
        kind = op.lock.lock
        if kind is None or kind.name != "rwsem":
            return 0
        cpu = self._tasks[i].cpu
        last, free = self._lines.get(op.lock, (cpu, 0))
        until = at if last is cpu else max(at, free) + self._line
        self._lines[op.lock] = cpu, until
        return until - at

    def copy(self, op: CopyPage, at: int) -> int:
        """A page is copied from time *at* on: how long it waits for the memory of both nodes (ns)."""
        src, dst = self._memory.get(op.src.node, 0), self._memory.get(op.dst.node, 0)
        begin = max(at, self._busy.get(src, 0), self._busy.get(dst, 0))
        self._busy[src] = self._busy[dst] = begin + self._copy
        return begin - at

    def state(self, now: int) -> object:
        """Who had what last, and for how long from *now* on it is busy."""
        lines = {it: (cpu, max(0, until - now)) for it, (cpu, until) in self._lines.items()}
        return lines, {node: max(0, until - now) for node, until in self._busy.items()}
