"""Words, each defined once, with what people often think instead."""

from __future__ import annotations

from typing import Final, NamedTuple


class Word(NamedTuple):
    """A definition, and the misconception that the word invites."""

    meaning: str
    often: str


WORDS: Final[dict[str, Word]] = {
    "page": Word(
        "4 KiB of a process's address space, at a virtual address that the program knows",
        "that it is the same as the frame that holds it",
    ),
    "frame": Word(
        "4 KiB of physical memory, on one node; the kernel's struct page describes it",
        "that the program could tell one frame from another",
    ),
    "node": Word("a group of CPUs with memory of its own", "that memory of another node cannot be used"),
    "PTE": Word("a page-table entry: which frame holds a page, or why none does", "that a page has one and no more"),
    "TLB": Word("a CPU's own copy of PTEs it has used", "that it follows the page table by itself"),
    "migration entry": Word(
        "a PTE that says: this page is on its way, wait for its page lock", "that the page is lost while it stands"
    ),
    "anon_vma": Word(
        "what the pages of a family of memory regions point to, to find every PTE; its root has one lock",
        "that each page has its own",
    ),
    "mutex": Word("a lock with one holder; who waits sleeps", "that waiting for it is CPU time"),
    "rwsem": Word("a lock with many readers or one writer", "that readers never block anyone"),
    "hand-off": Word("whoever releases a lock passes it to the longest waiter", "that every mutex does so"),
    "stealing": Word("a running thread takes a free lock before the thread that was woken for it", "that it is a bug"),
}


def glossary(*words: str) -> str:
    """The definitions of *words*, or of all."""
    lines = []
    for word in words or WORDS:
        meaning, often = WORDS[word]
        lines.append(f"{word}: {meaning}.\n    People often think {often}.")
    return "\n".join(lines)
