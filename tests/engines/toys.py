"""A struct with a few fields, and worlds of tasks that play with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sim import variants
from sim.locks import FREE_RWSEM
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import ANON_VMA_MUTEX, MMAP_SEM, Struct, declare
from sim.worlds import World

MUTEX = variants.find("mutex_v37")


class Toy(Struct):
    """A few fields to play with."""

    a = declare(0, guard="atomic")
    b = declare(0, guard="atomic")
    done = declare(0, guard="atomic")
    lock = declare(None, guard="itself", lock=ANON_VMA_MUTEX)
    sem = declare(FREE_RWSEM, guard="itself", lock=MMAP_SEM)


T = Toy("toy")


@dataclass
class Daemon:
    body: Callable[..., Kernel]


def toy(*bodies: Callable[..., Kernel] | Daemon, memory: dict[Any, Any] | None = None) -> World:
    """A world of tasks t0, t1, ... that share a CPU and the fields of T."""

    def build() -> Builder:
        b = Builder()
        mm, cpu = b.mm(), b.cpu(0, 0)
        b.memory.update(memory or {})
        for number, body in enumerate(bodies):
            daemon = isinstance(body, Daemon)
            b.task(f"t{number}", cpu, mm, body.body if daemon else body, "", daemon=daemon)
        return b

    return World("toy", "a toy", "", {}, {}, build)
