"""A family of processes, grown by hand (lesson 2): what fork, a first touch, munmap and exit do to the reverse map.

Nothing here knows how the kernel links anything.  Every operation is the model's kernel code, run alone by a thread of
the process in question; what is shown is read out of the memory that it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sim import variant
from sim.context import Context
from sim.kernel.exit import do_exit
from sim.kernel.fork import do_fork
from sim.kernel.mmap import sys_munmap
from sim.kernel.mremap import sys_mremap
from sim.kernel.rmap import SWAP_AGAIN, page_referenced_one, rmap_walk_anon
from sim.machine import Machine
from sim.ops import Kernel
from sim.setup import Body, Builder, Setup, TaskInfo
from sim.structs import PTRS_PER_PTE, AnonVma, AnonVmaChain, Cpu, Mm, Page, Pte, Struct, Task, Vma
from sim.user import user_write

if TYPE_CHECKING:
    import networkx as nx

#: How the first process is called.
FIRST: Final = "P"
#: How many pages a VMA of the first process has; between two of them are as many that are not mapped.
PAGES: Final = 2


class Refused(ValueError):
    """An operation that makes no sense, in one sentence."""


class Visit(NamedTuple):
    """One stop of a walk: the VMA, the page at which it would have the frame, and whether its PTE says so."""

    vma: str
    page: int
    mapped: bool


@dataclass
class Family:
    """Processes that descend from P, which has mapped *vmas* ranges of two pages each and touched none of them.

    >>> f = Family().touch("P").fork("P", "C")
    >>> [it.vma for it in f.walk("f0")]
    ['vP', 'vC']
    """

    vmas: int = 1
    memory: dict[Any, Any] = field(default_factory=dict, repr=False)
    mms: dict[str, Mm] = field(default_factory=dict, repr=False)
    names: dict[Struct, str] = field(default_factory=dict, repr=False)
    done: tuple[tuple[Any, ...], ...] = ()

    def __post_init__(self) -> None:
        if not self.memory:
            b = Builder(nodes=1)
            mm = b.mm(FIRST)
            for number in range(self.vmas):
                b.untouched(mm, f"v{FIRST}{number}", 2 * PAGES * number, 2 * PAGES * number + PAGES)
            self.memory, self.mms = b.memory, {FIRST: mm}
            self._name_all(FIRST)

    # --- operations --------------------------------------------------------------------------------------------

    def touch(self, who: str, page: int = 0) -> Family:
        """A thread of *who* writes *page*: that brings a first frame, or a copy of one that is shared."""
        return self._do(who, partial(user_write, vpn=page), ("touch", who, page), at=page)

    def fork(self, who: str, child: str) -> Family:
        """*who* forks a child that is called *child*.

        Raises:
            Refused: if that is no name, or a process has it or has had it.
        """
        if child in self.mms or not child.isalpha():
            raise Refused(f"'{child}' cannot name a child: take letters that no process has had")
        before = self._objects(Mm)
        self._do(who, do_fork, ("fork", who, child))
        (self.mms[child],) = self._objects(Mm) - before
        self._name_all(child)
        return self

    def munmap(self, who: str, page: int = 0, pages: int = 1) -> Family:
        """*who* unmaps *pages* pages from *page* on."""
        return self._do(who, partial(sys_munmap, start=page, length=pages), ("munmap", who, page, pages), at=page)

    def mremap(self, who: str, page: int, to: int) -> Family:
        """*who* moves what it has at *page* to the address *to*; the frame stays where it is."""
        return self._do(who, partial(sys_mremap, addr=page, length=1, new_addr=to), ("mremap", who, page, to), at=page)

    def exit(self, who: str) -> Family:
        """*who* ends, and all that it has goes."""
        return self._do(who, do_exit, ("exit", who))

    def copy(self) -> Family:
        """The same family, to be tried on."""
        return replace(self, memory=dict(self.memory), mms=dict(self.mms), names=dict(self.names))

    def _do(self, who: str, body: Body, entry: tuple[Any, ...], at: int | None = None) -> Family:
        if not self.vmas_of(who):
            raise Refused(f"{who} has no memory; {', '.join(self.alive) or 'nobody'} has")
        if at is not None and not any(self.get(it.vm_start) <= at < self.get(it.vm_end) for it in self.vmas_of(who)):
            raise Refused(f"{who} has nothing mapped at page {at}")
        self.run(who, body)
        self._name_all(who)
        self.done = (*self.done, entry)
        return self

    def run(self, who: str, body: Body, *, guarded: bool = False) -> None:
        """Let a thread of *who* run *body*, alone; *guarded* if that is a reader's code."""
        mm, cpu = self.mms[who], Cpu(f"cpu{list(self.mms).index(who)}")
        memory = {**self.memory, mm.cpu_vm_mask: (cpu,)}
        info = TaskInfo(Task(f"{who}{len(self.done)}"), "a", cpu, 0, mm, daemon=False, title="", body=body)
        machine = Machine(Setup("family", {}, memory, (info,), 1, guarded=guarded), variant("mutex_v37"))
        while not machine.done and machine.violation is None:
            machine.step(info.task)
        if machine.violation is not None:
            raise machine.violation
        self.memory = machine.memory

    # --- names -------------------------------------------------------------------------------------------------

    def _name_all(self, who: str) -> None:
        """Give what *who* has and nobody has named yet a name: vC, A_C, f0."""
        for vma in self.vmas_of(who):
            self._name(vma, f"v{who}")
            if (own := self.get(vma.anon_vma)) is not None:
                self._name(own, f"A_{who}")
        for _, pte in self._mapped(who):
            if pte.page not in self.names:
                self.names[pte.page] = f"f{sum(isinstance(it, Page) for it in self.names)}"

    def _name(self, it: Struct, name: str) -> None:
        if it not in self.names:
            taken = set(self.names.values())
            self.names[it] = next(x for x in (name, *(f"{name}{n}" for n in range(2, 99))) if x not in taken)

    def called(self, name: str) -> Any:
        """What is called *name*.

        Raises:
            Refused: if nothing is, or if it is gone.
        """
        for it, known in self.names.items():
            if known == name and not self.get(it.life):
                return it
        there = sorted(self.names[it] for it in self.names if not self.get(it.life))
        raise Refused(f"there is no {name} (any more); there are {', '.join(there)}")

    # --- looking -----------------------------------------------------------------------------------------------

    def get(self, place: Any) -> Any:
        """What stands at a place of memory."""
        return self.memory.get(place, place.default)

    def _objects(self, struct: type[Struct]) -> set[Any]:
        return {it.ref for it in self.memory if type(it.ref) is struct}

    @property
    def alive(self) -> tuple[str, ...]:
        """The processes that have memory."""
        return tuple(who for who in self.mms if self.vmas_of(who))

    def vmas_of(self, who: str) -> tuple[Vma, ...]:
        """The VMAs of *who*; none if it has ended, or never was."""
        mm = self.mms.get(who)
        return () if mm is None or self.get(mm.life) else tuple(self.get(mm.mmap))

    def _mapped(self, who: str) -> Iterable[tuple[int, Pte]]:
        """The PTEs of *who*, with their pages."""
        for vma in self.vmas_of(who):
            for page in range(self.get(vma.vm_start), self.get(vma.vm_end)):
                table = self.get(self.mms[who].pmd[page // PTRS_PER_PTE])
                pte = None if table is None else self.get(table.pte[page % PTRS_PER_PTE])
                if pte is not None:
                    yield page, pte

    def frame(self, who: str, page: int = 0) -> str:
        """The name of the frame that *who* has at *page*.

        Raises:
            Refused: if it has none.
        """
        for at, pte in self._mapped(who):
            if at == page:
                return self.names[pte.page]
        raise Refused(f"{who} has no frame at page {page}: it has not touched it, or has unmapped it")

    @property
    def frames(self) -> tuple[str, ...]:
        """The frames that somebody maps."""
        return tuple(name for it, name in self.names.items() if isinstance(it, Page) and self.ptes(name))

    def ptes(self, frame: str) -> list[tuple[str, int]]:
        """Who maps *frame*, and at which page: found by looking into every page table, which the kernel cannot do."""
        return [(who, page) for who in self.mms for page, pte in self._mapped(who) if self.names[pte.page] == frame]

    def walk(self, frame: str) -> list[Visit]:
        """The kernel's walk for *frame*, run now: whom it visits, in its order."""
        found: list[Visit] = []
        self.copy().run(self.alive[0], partial(_walk, page=self.called(frame), family=self, found=found))
        return found

    def ask(self, function: Callable[..., Kernel], frame: str) -> Any:
        """What a reader's *function*, given ``k`` and the frame, answers; it runs with the anon_vma's lock held."""
        found: list[Any] = []
        page = self.called(frame)
        self.copy().run(self.alive[0], partial(_ask, function=function, page=page, found=found), guarded=True)
        return found[0]

    def tree(self, anon_vma: AnonVma) -> list[AnonVmaChain]:
        """The AVCs of *anon_vma*'s interval tree, from left to right."""

        def below(avc: AnonVmaChain | None) -> list[AnonVmaChain]:
            return [] if avc is None else [*below(self.get(avc.rb_left)), avc, *below(self.get(avc.rb_right))]

        return below(self.get(anon_vma.rb_root))

    def anon_vmas(self) -> list[AnonVma]:
        """The anon_vmas that are in use, as they came."""
        return [it for it in self.names if isinstance(it, AnonVma) and not self.get(it.life)]

    def locks(self) -> set[str]:
        """The anon_vmas whose lock a walk takes: the roots."""
        return {self.names[self.get(it.root)] for it in self.anon_vmas()}

    def links(self) -> dict[str, int]:
        """In how many trees each VMA hangs: the length of its chain."""
        return {self.names[it]: len(self.get(it.anon_vma_chain)) for who in self.alive for it in self.vmas_of(who)}

    def graph(self) -> nx.DiGraph[str]:
        """Frames, anon_vmas, AVCs and VMAs by name, with an arrow for each step that a walk can take."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        for frame in self.frames:
            graph.add_node(frame, kind="frame")
        for anon_vma in self.anon_vmas():
            graph.add_node(self.names[anon_vma], kind="anon_vma")
            for avc in self.tree(anon_vma):
                vma = self.names[self.get(avc.vma)]
                name = f"avc({vma},{self.names[anon_vma]})"
                graph.add_node(name, kind="AVC")
                graph.add_node(vma, kind="VMA")
                graph.add_edge(self.names[anon_vma], name)
                graph.add_edge(name, vma)
        for frame in self.frames:
            graph.add_edge(frame, self.names[self.get(self.called(frame).mapping)])
        return graph

    def told(self) -> str:
        """The graph in words."""
        lines = []
        for frame in self.frames:
            its = ", ".join(f"{who} page {page}" for who, page in self.ptes(frame))
            lines.append(f"{frame}    hangs on {self.names[self.get(self.called(frame).mapping)]}; mapped by {its}")
        for it in self.anon_vmas():
            root = self.get(it.root)
            whose = "root" if root is it else f"its root is {self.names[root]}"
            tree = " ".join(self.names[self.get(avc.vma)] for avc in self.tree(it))
            lines.append(f"{self.names[it]:5} {whose}; in its tree: {tree}")
        lines += [f"{self.names[it]:5} has no anon_vma yet" for who in self.alive for it in self.vmas_of(who)
                  if self.get(it.anon_vma) is None]  # fmt: skip
        return "\n".join(lines)


def _walk(k: Context, *, page: Page, family: Family, found: list[Visit]) -> Kernel:
    """The remap walk, with something to do at each VMA that only looks."""

    def look(k: Context, page: Page, vma: Vma, address: int, _: Any) -> Kernel:
        mapped = yield from page_referenced_one(k, page, vma, address)
        found.append(Visit(family.names[vma], address, bool(mapped)))
        return SWAP_AGAIN

    yield from rmap_walk_anon(k, page, look, None)


def _ask(k: Context, *, function: Callable[..., Kernel], page: Page, found: list[Any]) -> Kernel:
    """A reader's function, under the lock that it needs."""
    anon_vma = yield page.mapping
    yield from k.anon_vma_lock_read(anon_vma)
    answer = yield from function(k, page)
    found.append(answer)
    yield from k.anon_vma_unlock_read(anon_vma)


def grown(steps: Iterable[tuple[Any, ...]], vmas: int = 1) -> Family:
    """A family on which *steps* have been done: ``[("touch", "P"), ("fork", "P", "C")]``.

    Raises:
        Refused: naming the step that cannot be done.
    """
    family = Family(vmas)
    for number, step in enumerate(steps, 1):
        name, *rest = step
        if name not in OPERATIONS:
            raise Refused(f"step {number}: there is no operation '{name}'; there are {', '.join(OPERATIONS)}")
        try:
            getattr(family, name)(*rest)
        except (Refused, TypeError) as fault:
            raise Refused(f"step {number}, {step}: {fault}") from fault
    return family


#: What can be done to a family.
OPERATIONS: Final = ("touch", "fork", "munmap", "mremap", "exit")
