"""What a film names again and again and keeps once: source lines of our coroutines, and the texts of marks."""

from __future__ import annotations

import ast
import re
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vizlib.scene import Json, Mark, mark_to_json, text_to_json

if TYPE_CHECKING:
    from sim.machine import Frame

#: The parts of a program in which functions stand.
_HOLDERS = (ast.stmt, ast.ExceptHandler, ast.match_case)
_ROOT = Path(__file__).resolve().parent.parent
#: A file, line and version of the kernel (of a later one the change, and no line), or a patch in a mail.
_CITATION = re.compile(
    r"\b((?:[\w.-]+/)+[\w.-]+\.[chS](?::\d+)? \((?:[0-9a-f]{12}, )?v[\d.]+\)"
    r"|\d{8,}[\w.-]*(?:@[\w.-]+)? \(numa/core v\d+\))"
)


def source(function: str, file: str, line: int) -> Json:
    """A function of the project: its lines, and the kernel lines that its docstring cites.

    The docstring itself is left out: what it says is for who opens the file.
    """
    found = _functions(file).get((function, line)) or next(
        (it for (name, _), it in _functions(file).items() if name == function), None
    )
    if found is None:
        return {"function": function, "file": file, "kernel": "", "first": line, "lines": []}
    return {"function": function, "file": file, **found}


@cache
def _functions(file: str) -> dict[tuple[str, int], Json]:
    """The functions of a file by name and line; empty for one that is not ours (a notebook cell)."""
    path = _ROOT / file
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    found: dict[tuple[str, int], Json] = {}
    todo: deque[ast.AST] = deque([ast.parse(text)])
    while todo:
        node = todo.popleft()
        todo += (it for it in ast.iter_child_nodes(node) if isinstance(it, _HOLDERS))
        if isinstance(node, ast.FunctionDef):
            data = _excerpt(node, lines)
            for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                found[node.name, number] = data
    return found


def _excerpt(node: ast.FunctionDef, lines: list[str]) -> Json:
    doc = ast.get_docstring(node) or ""
    cited = _CITATION.findall(doc)
    last = node.end_lineno or node.lineno
    body = [it.rstrip() for it in lines[node.lineno - 1 : last]]
    if doc and node.body[0].end_lineno is not None:
        start, end = node.body[0].lineno - node.lineno, node.body[0].end_lineno - node.lineno
        body[start : end + 1] = [""] * (end + 1 - start)
    indent = len(body[0]) - len(body[0].lstrip())
    return {"kernel": cited[-1] if cited else "", "first": node.lineno, "lines": [it[indent:] for it in body]}


@dataclass
class Sources:
    """The functions that the film's stacks name, whole, each once; and texts, each once."""

    functions: list[Json] = field(default_factory=list)
    texts: list[list[Json]] = field(default_factory=list)
    _functions: dict[tuple[str, str], int] = field(default_factory=dict)
    _texts: dict[Any, int] = field(default_factory=dict)
    _stacks: dict[tuple[Frame, ...], list[list[int]]] = field(default_factory=dict)

    def stack(self, frames: tuple[Frame, ...]) -> list[list[int]]:
        """A call stack as [function, line] pairs."""
        found = self._stacks.get(frames)
        if found is None:
            its = [[self._function(frame.function, frame.file, frame.line), frame.line] for frame in frames]
            found = self._stacks[frames] = its
        return found

    def _function(self, function: str, file: str, line: int) -> int:
        if (function, file) not in self._functions:
            self._functions[function, file] = len(self.functions)
            self.functions.append(source(function, file, line))
        return self._functions[function, file]

    def mark(self, mark: Mark) -> Json:
        """A mark whose texts are a number."""
        return self.interned(mark_to_json(mark), mark)

    def interned(self, data: Json, mark: Mark) -> Json:
        """*data*, which describes *mark* or a change of it, with its texts as a number."""
        if "text" in data:
            number = self._texts.setdefault(mark.text, len(self.texts))
            if number == len(self.texts):
                self.texts.append([text_to_json(it) for it in mark.text])
            data = {**data, "text": number}
        return data
