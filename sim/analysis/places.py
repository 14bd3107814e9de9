"""Where pages are while a run goes on, and where those are that use them."""

from __future__ import annotations

from typing import Any

from sim.engines.watching import Watcher
from sim.machine import Frame, Machine
from sim.ops import Field, Op, UserWrite, Write
from sim.structs import PTRS_PER_PTE, Pte


class Places(Watcher):
    """Listens for where PTEs point, and for stores of user code.

    Attributes:
        users: for each PTE the nodes on whose CPUs user code has stored to its page.
        stores: (ns, whether the frame was on another node than the CPU) of each such store, in order of time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[Field, set[int]] = {}
        self.stores: list[tuple[int, bool]] = []
        self._first: dict[Field, int] = {}
        self._moves: list[tuple[int, Field, int]] = []

    def begin(self, machine: Machine) -> None:
        """Note where the pages are."""
        super().begin(machine)
        self._first = {field: self._node(it) for field, it in machine.memory.items() if field.base == "pte" and it}

    def step(self, i: int, op: Op, answer: Any, at: int, ns: int, stack: tuple[Frame, ...]) -> None:
        """A step was made."""
        super().step(i, op, answer, at, ns, stack)
        if isinstance(op, UserWrite):
            if answer:
                self._stored(i, op.vpn, at)
        elif isinstance(op, Write) and op.field.base == "pte" and isinstance(op.value, Pte):
            if op.value.kind in {"present", "prot_none"}:
                self._moves.append((at, op.field, self._node(op.value)))

    def _stored(self, i: int, vpn: int, at: int) -> None:
        me, memory = self.machine.contexts[i], self.machine.memory
        pte = memory[me.mm.pmd[vpn // PTRS_PER_PTE]].pte[vpn % PTRS_PER_PTE]
        self.users.setdefault(pte, set()).add(me.node)
        self.stores.append((at, memory.get(memory[me.cpu.tlb[me.mm, vpn]].page.node, 0) != me.node))

    def ends(self) -> dict[Field, set[int]]:
        """On which node each PTE's page is when the run ends, as a set of one."""
        last = {**self._first, **{field: node for _, field, node in self._moves}}
        return {field: {node} for field, node in last.items()}

    def arrivals(self, right: dict[Field, set[int]]) -> list[tuple[int, float]]:
        """When which share of the pages of *right* was on one of its *right* nodes: (ns, 0 to 1), in order of time."""
        there = {field for field, node in self._first.items() if node in right.get(field, ())}
        found = [(0, len(there) / max(1, len(right)))]
        for at, field, node in self._moves:
            if field in right:
                (there.add if node in right[field] else there.discard)(field)
                found.append((at, len(there) / len(right)))
        return found

    def _node(self, pte: Pte) -> int:
        return int(self.machine.memory.get(pte.page.node, 0))
