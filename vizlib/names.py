"""What things are called in English: locks, frames, pages, fields and their values.

Names objects by what they are, not by their class, so that nothing here needs :mod:`sim.structs`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sim.locks import Rwsem
from sim.ops import SHARED, TLB_FLUSH_ALL, Field
from sim.values import Pmd
from sim.wording import lock_words
from vizlib.moments import Moment, Run, cpu_name

PTES_PER_TABLE = 512


def page_name(vpn: Any) -> str:
    """A virtual page: ``p5``; in the worlds here only address spaces that a fork made kin have pages of one number."""
    return f"p{vpn}"


def pages_name(vpn: int, end: int) -> str:
    """What a flush is for: ``p5``, ``p5 to p7``, or ``every page``."""
    if end == TLB_FLUSH_ALL:
        return "every page"
    return page_name(vpn) if end in {0, vpn + 1} else f"{page_name(vpn)} to {page_name(end - 1)}"


def flushed_pages(flush: Any) -> str:
    """What a flush is for that is on its way: a request in a CPU's queue, or the sending of one."""
    ranges = ((flush.mm, flush.vpn, flush.end), *flush.more)
    return listed(pages_name(vpn, end) for _, vpn, end in ranges)


def frame_name(page: Any) -> str:
    """A frame: ``frame f5``."""
    return f"frame {page}"


#: How many letters of a frame's name a small box has room for.
SHORT = 9


def short_frame(page: Any) -> str:
    """A frame's name for a small box: ``migrat…f1`` is migrator.f1, and ``migr…2.f1`` is migrator-2.f1."""
    name = str(page)
    owner, dot, number = name.partition(".")
    if not dot or len(name) <= SHORT:
        return name
    digits = owner[len(owner.rstrip("0123456789")) :]
    end = f"…{digits}.{number}" if digits else f"…{number}"
    return owner[: max(1, SHORT - len(end))] + end


def struct_name(ref: Any) -> str:
    """The kernel's name of the object's struct."""
    return type(ref).__name__


def vpn_of(field: Field, moment: Moment) -> int | None:
    """The virtual page of a PTE field, or None if no page table of the run holds it."""
    if field.base != "pte":
        return None
    slot: Any = moment.run.tables.get(field.ref)
    key: Any = field.key
    return int(key) if slot is None else int(slot.key) * PTES_PER_TABLE + int(key)


def held_page(page: Any, moment: Moment) -> str | None:
    """The user's page whose data is in *page*, or None."""
    data = moment.get(page.data)
    return None if data is None else page_name(data[0])


def page_and_frame(page: Any, moment: Moment) -> str:
    """A frame with the page that is in it: ``p2 (frame f2)``."""
    held = held_page(page, moment)
    return frame_name(page) if held is None else f"{held} ({frame_name(page)})"


def origin(mm: Any, run: Run) -> str:
    """Where an address space that a fork makes during the run comes from: ``forked from C``; else nothing.

    The machine calls what a task allocates after the task: ``child.mm1``.
    """
    forker = next((it for it in run.actors if str(mm).startswith(f"{it.name}.") and it.mm is not None), None)
    return "" if forker is None else f"forked from {forker.mm}"


def lock_name(lock: Field, moment: Moment | None = None) -> str:
    """A lock with its article, and the user's page that a page lock is for: ``the page lock of f1 (p1)``."""
    held = held_page(lock.ref, moment) if moment is not None and struct_name(lock.ref) == "Page" else None
    return lock_words(lock) + (f" ({held})" if held else "")


def listed(names: Iterable[Any], last: str = "and") -> str:
    """Names in a sentence: ``a, b and c``."""
    words = [str(it) for it in names]
    if len(words) > 1:
        return f"{', '.join(words[:-1])} {last} {words[-1]}"
    return words[0] if words else "nobody"


def cpus(them: Iterable[Any]) -> str:
    """CPUs in a sentence."""
    return listed(cpu_name(it) for it in them)


def pte_value(pte: Any) -> str:
    """A PTE in a few words."""
    if pte is None:
        return "none"
    if pte.kind == "migration":
        return f"migration entry → {pte.page}"
    if pte.kind == "swap":
        return f"swap entry → {pte.page}"
    if pte.kind == "prot_none":
        return f"NUMA hint → {pte.page}"
    return f"→ {pte.page}" + ("" if pte.write else ", read-only") + (", dirty" if pte.dirty else "")


def pmd_value(pmd: Any) -> str:
    """An entry of a page directory in a few words."""
    if not isinstance(pmd, Pmd):
        return "none" if pmd is None else f"page table {pmd}"
    if pmd.kind == "not_present":
        return f"huge page closed to the hardware → {pmd.page}"
    return f"huge page{' (splitting)' if pmd.splitting else ''}{' ' if pmd.kind == 'present' else ', '}{pte_value(pmd)}"


def value(field: Field, it: Any) -> str:
    """A field's value in a few words."""
    if field.base == "pte":
        return pte_value(it)
    if field.base == "pmd" and it is not None:
        return pmd_value(it)
    if field.base == "_mapcount":
        return str(it + 1)
    if isinstance(it, Rwsem):
        return _rwsem(it)
    if field.lock is not None:
        return "free" if it is None else f"held by {it}"
    if field.base == "tlb":
        return "nothing" if it is None else f"→ {it.page}" + (", dirty" if it.dirty else "")
    if field.base == "data":
        return "empty" if it is None else f"{page_name(it[0])}, write {it[1]}"
    if field.base == "call_single_queue":
        return "no request" if not it else f"drop {listed(flushed_pages(request) for request in it)}"
    if field.base == "tlb_ubc":
        return _batch(it)
    if field.base == "tlb_flush_batched":
        return pages_name(*it) if it else "none"
    if field.base == "cpu_vm_mask":
        return cpus(it) if it else "no CPU"
    if field.base == "life":
        return "freed" if it else "alive"
    if field.base in ("vm_start", "vm_end"):
        return page_name(it)
    if isinstance(it, tuple):
        return listed(it) if it else "nothing"
    if isinstance(it, bool):
        return "yes" if it else "no"
    return "nothing" if it is None else str(it)


def _batch(it: Any) -> str:
    """A task's batch of flushes."""
    if it is None:
        return "no batch"
    if not it.flush_required:
        return "an empty batch"
    pages = listed(pages_name(first, end) for _, first, end in it.ranges)
    return f"{pages} on {cpus(it.cpumask)}" + (", which may still write" if it.writable else "")


def _rwsem(it: Rwsem) -> str:
    parts = []
    if it.writer is not None:
        parts.append(f"written by {it.writer}")
    if it.readers:
        parts.append(f"read by {listed(it.readers)}")
    if it.queue:
        waiting = listed(f"{task}{' (read)' if mode == SHARED else ' (write)'}" for task, mode in it.queue)
        parts.append(f"queue: {waiting}")
    return "; ".join(parts) or "free"


#: What a field is called when it has changed; ``{ref}`` is the object.
FIELDS: dict[tuple[str, str], str] = {
    ("Page", "mapping"): "anon_vma of frame {ref}",
    ("Page", "index"): "page offset of frame {ref}",
    ("Page", "_mapcount"): "PTEs that map frame {ref}",
    ("Page", "_count"): "references to frame {ref}",
    ("Page", "data"): "contents of frame {ref}",
    ("Page", "PG_lru"): "frame {ref} on the LRU list",
    ("Page", "PG_writeback"): "writeback of frame {ref}",
    ("Page", "life"): "frame {ref}",
    ("AnonVma", "life"): "anon_vma {ref}",
    ("AnonVmaChain", "life"): "AVC {ref}",
    ("Vma", "life"): "VMA {ref}",
    ("PageTable", "life"): "page table {ref}",
    ("Cpu", "irqs_off"): "interrupts off on {ref}",
    ("Task", "tlb_ubc"): "flushes that {ref} has put off",
    ("Mm", "tlb_flush_batched"): "pages of {ref} that may still be unflushed",
    ("Cpu", "csd_pending"): "answers that {ref} waits for",
    ("Cpu", "call_single_queue"): "requests to {ref}",
    ("Mm", "mmap"): "VMAs of {ref}",
    ("Mm", "cpu_vm_mask"): "CPUs that may hold TLB entries of {ref}",
    ("Vma", "vm_start"): "start of VMA {ref}",
    ("Vma", "vm_end"): "end of VMA {ref}",
    ("Vma", "vm_pgoff"): "page offset of VMA {ref}",
    ("Vma", "anon_vma"): "anon_vma of VMA {ref}",
    ("AnonVma", "refcount"): "references to anon_vma {ref}",
    ("AnonVma", "rb_root"): "top of the interval tree of {ref}",
    ("AnonVmaChain", "rb_left"): "left child of AVC {ref}",
    ("AnonVmaChain", "rb_right"): "right child of AVC {ref}",
    ("AnonVmaChain", "rb_parent"): "parent of AVC {ref}",
    ("AnonVmaChain", "rb_color"): "colour of AVC {ref}",
    ("AnonVmaChain", "rb_subtree_last"): "last page below AVC {ref}",
    ("AnonVmaChain", "vma"): "VMA of AVC {ref}",
    ("AnonVmaChain", "anon_vma"): "anon_vma of AVC {ref}",
}

#: Fields that the machine keeps for itself: changes of these are not shown.
GHOSTS = frozenset({"held", "allocs", "migration_ptes", "present_ptes", "shadow", "pins", "rcu", "readers"})


def field_name(field: Field, moment: Moment) -> str:
    """What *field* is called when it has changed."""
    if field.lock is not None:
        name = lock_name(field, moment)
        return name.removeprefix("the ")
    if field.base == "pte":
        vpn = vpn_of(field, moment)
        return f"PTE of {page_name(vpn)}"
    if field.base == "tlb" and isinstance(field.key, tuple):
        return f"TLB of {cpu_name(field.ref)}, {page_name(field.key[1])}"
    if field.base == "pmd":
        return f"page table {field.key} of {field.ref}"
    if field.base == "shadow":
        return f"user's data in {page_name(field.key)} of {field.ref}"
    ref = cpu_name(field.ref) if struct_name(field.ref) == "Cpu" else str(field.ref)
    pattern = FIELDS.get((struct_name(field.ref), field.base), f"{field.name} of {{ref}}")
    return pattern.format(ref=ref)
