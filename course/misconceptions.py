"""What people often think, by number: the lessons' questions and checks name these."""

from __future__ import annotations

from typing import Final

#: The misconceptions that the written lessons use.
BANK: Final[dict[str, str]] = {
    "M1": "a statement, or a function, happens all at once",
    "M2": "threads take turns, or run equally fast",
    "M3": "what has run a thousand times is right",
    "M4": "a lock protects code, not data",
    "M5": "two locks on the same data are safer than one",
    "M6": "a thread that waits for a mutex burns CPU time",
    "M7": "the 96.43 % of the profile are CPU time",
    "M8": "less locking is always faster",
    "M9": "readers of an rwsem never keep anyone waiting",
    "M10": "a reference count guarantees what a lock guarantees",
    "M11": "a deadlock needs two kinds of lock",
    "M12": "a page is its virtual address, so moving it changes the address",
    "M13": "a page has one PTE",
    "M14": "clearing the PTE stops every CPU at once",
    "M15": "flushing one CPU's TLB flushes them all",
    "M16": "a TLB miss is a page fault",
    "M17": "while a page is unmapped nobody can want it",
    "M18": "copying first and unmapping then is as good as the other way round",
    "M19": "there is an anon_vma, and a lock, for each page",
    "M20": "holding the mmap_sem of my process freezes everything that my pages hang on",
    "M20b": "while an rwsem is held for reading, nothing changes",
    "M21": "what all callers hold is what those hold whom I know",
    "M22": "a comment is no evidence, so it need not be read",
    "M23": "memory on another node is always slow or wrong, and moving it costs nothing",
    "M24": "a larger batch is always better",
    "M25": "who only reads needs no lock",
    "M26": "a lock protects the structure that it is named after, and nothing else",
    "M27": "a lock lets one in at a time, whoever it is",
    "M28": "a fork copies the parent's pages, so that nothing is shared afterwards",
    "M29": "whoever is in the tree of a page's anon_vma maps the page",
    "M30": "a flush costs one interrupt, however many CPUs there are",
    "M31": "reading through an old translation does no harm",
    "M32": "the kernel knows what stands in a TLB",
    "M33": "only who waits for a lock can be in a deadlock",
    "M34": "who holds many locks must wait for nothing at all",
    "M35": "who must not wait can only give up",
    "M36": "a model leaves things out, so what it counts says nothing",
    "M37": "one recording says how it always is",
    "M38": "a model that is right in its counts is right in its times",
    "M39": "the kernel still does what it did when I read it",
    "M40": "without an interrupt there was no batch",
    "M41": "a batch is the list that the call was given",
}


def named(tag: str) -> str:
    """How a check names a misconception: ``It looks like M18: ...``."""
    return f"It looks like {tag}: {BANK[tag]}."
