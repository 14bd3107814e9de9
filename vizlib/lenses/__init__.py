"""From memory to marks: one file a struct, and the only place where vizlib meets :mod:`sim.structs`.

A lens is made once a film.  It looks at the whole run, keeps a fixed place for everything that it will ever show, and
is then asked for its marks after every step, part by part: of a part that has not changed the marks are kept
(:mod:`vizlib.kept`).  What does not fit is counted in a note, never dropped in silence.

===============  ==========================================================================================
cpu.py           CPUs with their TLB entries; a stale entry is dashed
ipi.py           interrupt requests on their way, as arrows between CPUs
pmd.py           the page directory, where it maps huge pages; arrows to their heads
pte.py           the page table; arrows to the frames
page.py          frames on their nodes; the user's page, which travels
anon_vma.py      the reverse map's ellipse; avc.py its diamond; vma.py its box; reverse_map.py joins them
kinship.py       who descends from whom, and where a walk stands (data)
family.py        the same for a whole family, in a plane of its own: a row an anon_vma, a column a VMA
task.py          threads: what each is doing, and on which line (data: a player writes it as text)
lock.py          locks: who holds, who waits (data as well)
key.py           what the glyphs mean
===============  ==========================================================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from vizlib.moments import Moment
from vizlib.scene import Mark

Part = Callable[[Moment], Iterator[Mark]]


class Lens(ABC):
    """What draws one kind of thing; when it is made it keeps places for all that the run will show."""

    @abstractmethod
    def parts(self) -> Iterator[Part]:
        """What draws them, thing by thing: what one shows does not depend on what the others do."""

    def marks(self, moment: Moment) -> Iterator[Mark]:
        """What to draw after a step."""
        for part in self.parts():
            yield from part(moment)
