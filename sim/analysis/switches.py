"""Where the threads of a recording gave up their CPUs, by call chain: the profile that the mail began with.

A recording with call stacks (``perf record -g``, ``trace-cmd record -T``) tells the chain; without them each switch is
put to the function that the thread was last seen to call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from sim.analysis.callgraph import CallGraph
from sim.ftrace import MARK, Record, switch_of

#: So many threads are remembered by their last call, and so many chains are told apart.
_MOST: Final = 10_000


def switches(records: Iterable[Record]) -> CallGraph:
    """The context switches of a recording as a call graph; shares of events, not of time.

    The idle task's are left out.  A switch from a thread that could have gone on ends in ``(preempted)``.
    """
    chains: Counter[tuple[str, ...]] = Counter()
    last: dict[int, str] = {}
    over = False
    for it in records:
        if it.name == MARK:  # as everywhere: what stands between BEGIN and END
            over = it.detail.startswith("END") or (over and not it.detail.startswith("BEGIN"))
            if it.detail.startswith("BEGIN"):
                chains.clear()
        elif over:
            continue
        elif it.kind != "event":
            if len(last) >= _MOST:
                last.clear()
            last[it.pid] = it.name
        elif it.name == "sched_switch" and it.pid != 0:
            called = tuple(reversed(it.stack)) or ((last[it.pid],) if it.pid in last else ())
            preempted = ("(preempted)",) if switch_of(it.detail).runs_on else ()
            chain = (it.task or "(a task)", *called, "sched_switch", *preempted)
            if chain in chains or len(chains) < _MOST:
                chains[chain] += 1
            else:
                chains["(other chains)",] += 1
    return CallGraph("recording", "context switches", chains)
