"""What locks, and what else a task waits for, are called in English, and how things are counted: for all who speak."""

from __future__ import annotations

from typing import Any

from sim.ops import Field


def times(number: int, what: str) -> str:
    """So many of what has a plural in s: ``1 page``, ``2 pages``."""
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def lock_words(lock: Field) -> str:
    """A lock with its article, if it has one: ``the anon_vma lock of A_heap``, ``mmap_sem of P``."""
    match type(lock.ref).__name__, lock.base:
        case "Mm", "mmap_sem":
            return f"mmap_sem of {lock.ref}"
        case "Mm", "page_table_lock":
            return f"the page_table_lock of {lock.ref}"
        case "PageTable", "PG_locked":
            return f"the lock of page table {lock.ref}"
        case "PageTable", "ptl":
            return f"the page-table lock of {lock.ref}"
        case "Page", "PG_locked":
            return f"the page lock of {lock.ref}"
        case "AnonVma", _:
            return f"the anon_vma lock of {lock.ref}"
    return f"{lock.name} of {lock.ref}"


def condition(field: Field, value: Any) -> str:
    """*field* has the *value* for which a task waits: ``the writeback of f1 is over``."""
    if field.base == "csd_pending":
        return f"all have answered the interrupt from {field.ref}"
    if field.base == "PG_writeback":
        return f"the writeback of {field.ref} is over"
    return f"{lock_words(field)} is free" if field.lock is not None else f"{field} is {value}"
