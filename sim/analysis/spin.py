"""Spin run on a Promela text, from translation to verdict: a reader that we did not write."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sim import variants, worlds
from sim.analysis.promela import Model, promela
from sim.errors import BadParameter, UserError

#: What Spin says of an error, and what we call that.
_WORDS: Final = {"assertion violated": "assertion", "invalid end state": "deadlock"}
#: Steps of a run at most; a run of more would be cut, and the search would say so.
_DEPTH: Final = 1_000_000


class Said(NamedTuple):
    """What Spin found: ``safe``, ``assertion`` or ``deadlock``; and how many states it stored."""

    verdict: str
    states: int


def missing() -> str:
    """What is not installed that it takes to run Spin, which has gcc read its texts; empty if nothing is."""
    return " and ".join(name for name in ("spin", "gcc") if shutil.which(name) is None)


def _compiler() -> list[str]:
    """What compiles the search: tcc where it is installed, else gcc that does not optimise.

    A text of ours becomes one C function of many thousand lines: gcc -O1 takes a hundred times as long over it as the
    search does, and tcc a fortieth of what gcc -O0 takes.
    """
    return ["tcc"] if shutil.which("tcc") else ["gcc", "-O0"]


def spin(text: str, folder: Path, compiler: Sequence[str] = ()) -> Said:
    """Let Spin search every state of *text*, up to the first error; *compiler* compiles the search.

    Raises:
        RuntimeError: if it cannot read the text, or did not finish.
    """
    (folder / "world.pml").write_text(text, encoding="utf-8")
    said = ""
    for command in (
        ["spin", "-a", "world.pml"],
        [*(compiler or _compiler()), "-w", "-DSAFETY", "-DNOREDUCE", "-DVECTORSZ=4096", "-o", "pan", "pan.c"],
        ["./pan", f"-m{_DEPTH}"],
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        said = done.stdout
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {(done.stderr or said).strip()}")
    states, errors = re.search(r"(\d+) states, stored", said), re.search(r"errors: (\d+)", said)
    cut = "max search depth too small" in said or "out of memory" in said
    if not states or not errors or cut:
        raise RuntimeError(f"spin did not search the whole text: {said.strip()[-300:]}")
    if errors[1] == "0":
        return Said("safe", int(states[1]))
    found = next((it for words, it in _WORDS.items() if words in said), "")
    if not found:
        raise RuntimeError(f"spin found another kind of error: {said.strip()[:300]}")
    return Said(found, int(states[1]))


# --- the checker's word beside Spin's ----------------------------------------------------------------------


class Compared(NamedTuple):
    """What both say of a world under a variant; ``said`` is None where Spin was not asked, and ``why`` tells."""

    world: str
    variant: str
    model: Model | None
    said: Said | None
    why: str = ""

    @property
    def agrees(self) -> bool:
        """Whether both say the same: of a safe world as many states, of an unsafe one a kind of error that we found."""
        if self.model is None or self.said is None:
            return not self.why.startswith("spin:")
        if not self.model.kinds:
            return self.said == Said("safe", self.model.states)
        return self.said.verdict in {"deadlock" if it == "deadlock" else "assertion" for it in self.model.kinds}

    def __str__(self) -> str:
        if self.model is None:
            return self.why
        ours = ", ".join(self.model.kinds) or f"safe, {self.model.states:,}"
        if self.said is None:
            return f"{ours} ({self.why})"
        return ours if self.agrees else f"**{ours}; Spin: {self.said.verdict}, {self.said.states:,}**"


def compare(model: Model, world: str, variant: str) -> Compared:
    """Ask Spin about *model*.

    Raises:
        UserError: if Spin or a C compiler is missing.
    """
    if lacking := missing():
        raise UserError(f"{lacking} not found: Debian's packages spin and gcc have them")
    if model.kinds == ("livelock",):
        return Compared(world, variant, model, None, "a livelock, of which Spin is not asked")
    with tempfile.TemporaryDirectory() as folder:
        try:
            return Compared(world, variant, model, spin(model.text, Path(folder)))
        except RuntimeError as error:
            return Compared(world, variant, model, None, f"spin: {error}")


def compare_all(world_names: Iterable[str], variant_names: Iterable[str], limit: int) -> Iterator[Compared]:
    """Every one of these worlds under every one of these variants, one after the other.

    Raises:
        UserError: for a name that is none, or if Spin is missing.
    """
    for world in [worlds.find(it) for it in world_names]:
        for variant in [variants.find(it) for it in variant_names]:
            try:
                model = promela(world, variant, limit=limit)
            except BadParameter:
                yield Compared(world.name, variant.name, None, None, f"more than {limit:,} states")
                continue
            yield compare(model, world.name, variant.name)


def table(compared: Iterable[Compared]) -> str:
    """The comparison as a table in Markdown, a line a world: what both say, with the number of states if it is safe.

    Where they say different things the cell is bold and has both.
    """
    rows: dict[str, dict[str, Compared]] = {}
    for it in compared:
        rows.setdefault(it.world, {})[it.variant] = it
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [f"| world | {' | '.join(f'`{it}`' for it in names)} |", "|---" * (len(names) + 1) + "|"]
    for world, row in rows.items():
        lines.append(f"| `{world}` | {' | '.join(str(row.get(name, '')) for name in names)} |")
    return "\n".join(lines)
