"""The claim ledger: what each lesson states, and where it is shown or comes from; written to ``instructor/claims.md``.

What counts as a claim is what a machine can see: each ``claim(...)`` of a cell, and each sentence of the prose that has
a figure or a name of the kernel's in it.  A sentence is borne out by

- a *source*: a mark in it, or in a later sentence of its paragraph (which speaks for those before it);
- the tag *illustrative*, at most three times a lesson;
- a *demonstration*: each of its figures and names stands in a cell or in what that cell shows, or in what an exercise
  asks for: the nearest cell that follows, else one before;
- for a name, the *table* that says where the kernel has a function (:mod:`sim.citations`), or the model.

A sentence of which anything is left over is *open*; a test sees to it that there are none.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from course.glossary import WORDS
from course.kit import EXERCISES
from course.progress import COURSE, LESSONS, title, transcript_path
from course.sources import LINES, SOURCES
from sim.citations import citations

PAGE: Final = COURSE / "instructor" / "claims.md"
ROOT: Final = COURSE.parent

MARK: Final = re.compile(r"`?\[(source: [^\]]+|assumed: illustrative)\]`?")
ILLUSTRATIVE: Final = "assumed: illustrative"
LINE: Final = re.compile(r"([\w./-]+\.[chS]):(\d+)@(v[\d.]+)")
ID: Final = re.compile(r"[\w.+=-]+(?:@[\w.-]+)?")

#: What is no prose of its own: blocks, tables, headings, links, the numbers of a list and of bold words.
NO_PROSE: Final = re.compile(r"```.*?```|^\|.*?$|^#[^\n]*|\]\([^)]*\)|^\d+\. |\*\*\d\*\*", re.DOTALL | re.MULTILINE)
#: A figure that stands alone: no part of a word, a version, a line number or a date.
FIGURE: Final = re.compile(r"(?<![\w./:-])\d[\d,]*(?:\.\d+)?(?![\w:-])")
#: A name: two words or more joined by underscores; within backquotes only if nothing else is there.
NAME: Final = re.compile(r"(?<![\w.])_*[A-Za-z][A-Za-z0-9]*_\w+")
CODE: Final = re.compile(r"`([^`]*)`")
#: Which lesson is meant is no figure.
LESSON: Final = re.compile(r"\blessons? \d+(?:(?:,| to| and) \d+)*", re.IGNORECASE)
SENTENCE: Final = re.compile(r"(?<=[.!?:])\s+(?=[A-Z`*0-9])")


class Claim(NamedTuple):
    """One line of the ledger.

    Attributes:
        cell: the number of the cell that it stands in.
        kind: ``shown``, ``source``, ``illustrative``, ``table`` or ``open``.
        said: the sentence.
        borne: what bears it out: the cell, the source; of an open one what is left over.
    """

    cell: int
    kind: str
    said: str
    borne: str


def cells(path: Path) -> list[tuple[str, str]]:
    """The cells of a lesson: what each is, and its source."""
    import nbformat

    return [(it.cell_type, it.source) for it in nbformat.read(path, as_version=4).cells]  # type: ignore[no-untyped-call]


def shown(path: Path) -> list[str]:
    """For each cell of a lesson what it shows, by the stored transcript; "" for prose."""
    text = transcript_path(path).read_text("utf-8")
    its = cells(path)
    parts = [source if kind == "markdown" else f"```python\n{source}\n```" for kind, source in its]
    starts, at = [], 0
    for part in parts:
        at = text.index(part, at)
        starts.append(at)
        at += len(part)
    ends = [*starts[1:], len(text)]
    return [
        text[start + len(part) : end] if kind == "code" else ""
        for (kind, _), part, start, end in zip(its, parts, starts, ends, strict=True)
    ]


def asked(path: Path) -> str:
    """What the exercises of a lesson ask for."""
    return "\n".join(it.__doc__ or "" for name, it in EXERCISES.items() if name.startswith(f"L{path.stem[:2]}"))


def figures(text: str) -> set[str]:
    """The figures in a text, without their commas."""
    return {it.rstrip(",").replace(",", "") for it in FIGURE.findall(LESSON.sub(" ", text))}


def names(text: str) -> set[str]:
    """The names in a text that the glossary does not define; of several things their one name."""
    alone = CODE.sub(lambda it: f" {it[1]} " if NAME.fullmatch(it[1].removesuffix("()")) else " ", text)
    return {it.removesuffix("()") for it in NAME.findall(alone) if it not in WORDS and it.rstrip("s") not in WORDS}


def sentences(source: str) -> Iterator[tuple[str, str]]:
    """The sentences of a cell of prose, each with the mark that speaks for it, or ""."""
    for paragraph in re.split(r"\n\s*\n|\n(?=- )", NO_PROSE.sub(" ", source)):
        marks = MARK.findall(paragraph)
        parts = SENTENCE.split(" ".join(MARK.sub("\0", paragraph).split()))  # so that no mark is cut in two
        spoken, found = "", []
        for part in reversed(parts):
            here = [marks.pop() for _ in range(part.count("\0"))]
            if here:
                spoken = "; ".join(reversed(here))
            found.append((" ".join(part.replace("\0", "").split()).replace(" .", "."), spoken))
            spoken = "" if spoken == ILLUSTRATIVE else spoken  # which speaks for its own sentence alone
        yield from ((said, mark) for said, mark in reversed(found) if said)


def claims(path: Path) -> list[Claim]:
    """Every claim of a lesson, in its order."""
    its, outputs, wanted = cells(path), shown(path), asked(path)
    found = []
    for at, (kind, source) in enumerate(its):
        if kind == "code":
            found += [Claim(at, "shown", it, f"cell {at}") for it in _claimed(source)]
            continue
        for said, mark in sentences(source):
            figured, named = figures(CODE.sub(" ", said)), names(said)
            if not (figured or named or mark):
                continue
            if mark:
                kind_ = "illustrative" if mark == ILLUSTRATIVE else "source"
                found.append(Claim(at, kind_, said, mark.removeprefix("source: ")))
            else:
                found.append(_borne(at, said, figured, named, its, outputs, wanted))
    return found


def _claimed(source: str) -> list[str]:
    """The sentences of the calls of ``claim`` in a cell."""
    calls = [it for it in ast.walk(ast.parse(source)) if isinstance(it, ast.Call) and ast.unparse(it.func) == "claim"]
    return [_text(it.args[0]) for it in calls]


def _text(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node).strip("f\"'")


def _borne(
    at: int, said: str, figured: set[str], named: set[str], its: list[tuple[str, str]], outputs: list[str], wanted: str
) -> Claim:
    """What bears out a sentence without a mark."""
    left_figures, left_names = set(figured), set(named)
    places = []
    order = [it for it in [*range(at + 1, len(its)), *range(at - 1, -1, -1)] if its[it][0] == "code"]
    for cell in order:
        text = f"{its[cell][1]}\n{outputs[cell]}"
        here = figures(text) & left_figures, {it for it in left_names if it in text}
        if any(here):
            places.append(cell)
            left_figures -= here[0]
            left_names -= here[1]
    left_figures -= figures(wanted) | ({"100"} if "%" in said else set())
    known = {it.function: it for it in citations()}
    tabled = sorted(left_names & set(known))
    left_names -= set(known)
    ours = sorted(it for it in left_names if re.search(rf"\b{re.escape(it)}\b", _written()))
    left = sorted([*left_figures, *(left_names - set(ours))])
    if left:
        return Claim(at, "open", said, ", ".join(left))
    told = [f"cell{'s' * (len(places) > 1)} {', '.join(map(str, sorted(places)))}"] if places else []
    told += [f"{known[it].file}:{known[it].line}@{known[it].version}" for it in tabled]
    told += [f"{it} of the model" for it in ours]
    told += ["what an exercise asks for"] if not told else []
    return Claim(at, "table" if (tabled or ours) and not places else "shown", said, "; ".join(told))


# --- sources -------------------------------------------------------------------------------------------------------


def cited(path: Path) -> set[str]:
    """Every single source that a lesson names."""
    marks = [it for kind, source in cells(path) if kind == "markdown" for it in MARK.findall(source)]
    parts = [it.removeprefix("source: ").removeprefix("commit ") for it in marks if it != ILLUSTRATIVE]
    return {one.strip() for part in parts for one in part.split(", ")}


@cache
def _written() -> str:
    """All of ``sim``, in which lines of the kernel are cited."""
    return "\n".join(it.read_text("utf-8") for it in sorted((ROOT / "sim").rglob("*.py")))


def explained(source: str) -> str:
    """What a source is, or "" if nobody knows it: a line of the kernel, a file of ours, a mail or a commit."""
    if line := LINE.fullmatch(source):
        place = (line[1], int(line[2]), "v3.7")
        here = next((it for it in citations() if (it.file, it.line, it.version) == place), None)
        return f"`{here.function}`; here: `{here.ours}`" if here else LINES.get(f"{line[1]}:{line[2]}", "")
    if source.endswith((".py", ".md", ".txt", ".json")):
        return "a file of ours" if (ROOT / source).is_file() else ""
    return SOURCES.get(source, "")


# --- the page ------------------------------------------------------------------------------------------------------


def page() -> str:
    """The ledger of all lessons."""
    rule = (__doc__ or "").split("\n\n", 1)[1].strip().replace(":mod:", "").replace("``", "`")
    parts = [
        "# Claims, lesson by lesson",
        rule,
        "Cells are counted from 0. Written by `python -m course.refresh`.",
    ]
    for path in LESSONS:
        its = claims(path)
        kinds = Counter(it.kind for it in its)
        parts.append(f"## {title(path)}")
        parts.append(", ".join(f"{number} {kind}" for kind, number in kinds.most_common()) + ".")
        rows = [f"| {it.cell} | {it.kind} | {_plain(it.said)} | {_plain(it.borne)} |" for it in its]
        parts.append("\n".join(["| cell | kind | claim | by |", "| ---: | --- | --- | --- |", *rows]))
    sources = sorted({it for path in LESSONS for it in cited(path)})
    rows = [f"| `{it}` | {explained(it)} |" for it in sources]
    parts += ["## Sources", "\n".join(["| source | what it is |", "| --- | --- |", *rows])]
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
