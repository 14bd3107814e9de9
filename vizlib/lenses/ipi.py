"""Interrupts between CPUs: an arrow from who asked to who has not answered."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sim.ops import Field
from vizlib.layout import Places
from vizlib.lenses import Lens, Part
from vizlib.moments import Moment, Run, cpu_name
from vizlib.names import flushed_pages
from vizlib.scene import Mark, Text

#: Room below the CPUs in which the arrows hang.
DEPTH = 20


class IpiLens(Lens):
    """Requests in the CPUs' queues."""

    def __init__(self, run: Run, places: Places) -> None:
        self.places = places
        self.queues = [it for it in run.ever if it.base == "call_single_queue" and f"cpu:{it.ref}" in places.boxes]
        places.bottom += DEPTH if self.queues else 0

    def parts(self) -> Iterator[Part]:
        """One arrow a request that nobody has taken yet."""
        for queue in self.queues:
            yield partial(self._requests, queue)

    def _requests(self, queue: Field, moment: Moment) -> Iterator[Mark]:
        for request in moment.get(queue):
            ends = (f"cpu:{request.sender}", f"cpu:{queue.ref}")
            one, other = (self.places.on_plane(it) for it in ends)
            if one is None or other is None:
                continue
            sender = next((it for it in moment.run.actors if it.cpu is request.sender), None)
            ink = "bad" if sender is None else sender.colour
            middle = (one.middle + other.middle) / 2
            low = max(one.bottom, other.bottom) + 2 * DEPTH
            words = f"drop {flushed_pages(request)}!"
            yield Mark(
                f"ipi:{request.sender}:{queue.ref}",
                "machine",
                "arrow",
                points=((one.middle, one.bottom), (middle, low), (other.middle, other.bottom)),
                text=(Text(words, middle, low - 2 * DEPTH + 13, 10.5, 700, "italic", "middle", ink),),
                stroke=ink,
                dashed=True,
                bold=True,
                ends=ends,
                layer=4,
                say=f"interrupt on its way from {cpu_name(request.sender)} to {cpu_name(queue.ref)}: {words}",
            )
