"""Weights by call chain, and the forms in which other tools read them: folded stacks, speedscope, a page of HTML.

A weight is a number of context switches or nanoseconds of CPU time; the two answer different questions, and everything
that is written here says which.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: What a graph may weigh, and the unit that speedscope has for it.
WEIGHTS = {"context switches": "none", "CPU time": "nanoseconds"}

_STYLE = """
:root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif; }
body { margin: 2em auto; max-width: 70em; padding: 0 1em; }
details { margin-left: 1.2em; }
summary, .leaf { font-family: ui-monospace, monospace; }
.leaf { margin-left: 2.4em; }
.bar { display: inline-block; height: .7em; background: #d95f02; }
.share { display: inline-block; width: 5em; text-align: right; }
@media (prefers-color-scheme: dark) { .bar { background: #fdae6b; } }
"""


@dataclass(frozen=True)
class CallGraph:
    """Where something happened, by call chain.

    Attributes:
        title: what was run, and how.
        weighs: ``context switches`` or ``CPU time``: the question that it answers.
        chains: (functions, outermost first) to a weight; ns for CPU time.
    """

    title: str
    weighs: str
    chains: Mapping[tuple[str, ...], int]

    @property
    def total(self) -> int:
        """The weight of all chains together."""
        return sum(self.chains.values())

    def by_function(self) -> list[tuple[str, int, int]]:
        """Each function with its own weight and the weight of all chains that it stands in, the heaviest first."""
        own: dict[str, int] = {}
        within: dict[str, int] = {}
        for chain, weight in self.chains.items():
            own[chain[-1]] = own.get(chain[-1], 0) + weight
            for name in set(chain):
                within[name] = within.get(name, 0) + weight
        order = sorted(within, key=lambda it: (-own.get(it, 0), -within[it], it))
        return [(it, own.get(it, 0), within[it]) for it in order]

    def folded(self) -> str:
        """One line a chain, as flamegraph.pl and its successors read it."""
        return "\n".join(f"{';'.join(chain)} {weight}" for chain, weight in sorted(self.chains.items()))

    def speedscope(self) -> str:
        """A file for https://www.speedscope.app, which also works without a network."""
        names = sorted({name for chain in self.chains for name in chain})
        number = {name: at for at, name in enumerate(names)}
        chains = sorted(self.chains.items())
        profile = {
            "type": "sampled",
            "name": f"{self.weighs} of {self.title}",
            "unit": WEIGHTS[self.weighs],
            "startValue": 0,
            "endValue": self.total,
            "samples": [[number[name] for name in chain] for chain, _ in chains],
            "weights": [weight for _, weight in chains],
        }
        data = {
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "exporter": "rmapwalk (simulated)",
            "shared": {"frames": [{"name": name} for name in names]},
            "profiles": [profile],
        }
        return json.dumps(data, indent=1)

    def report(self, least: float = 0.5) -> str:
        """As ``perf report -g`` prints it: each function that something happened in, with its callers below.

        *least*: functions and branches with a smaller share are left out, in per cent.
        """
        lines = [f"# {self.weighs} of {self.title} (simulated)", f"# {_amount(self.weighs, self.total)} in all"]
        for name, own, _ in self.by_function():
            if not self.total or 100 * own / self.total < least:
                continue
            lines += [f"{100 * own / self.total:6.2f}%  [k] {name}", "        |"]
            callers = {chain[::-1]: weight for chain, weight in self.chains.items() if chain[-1] == name}
            lines += [f"        {it}" for it in _callers(callers, own, least, "---")]
            lines.append("")
        return "\n".join(lines)

    def html(self) -> str:
        """A page that needs nothing else: the report, and the chains as a tree that opens by mouse and keyboard."""
        title = html.escape(f"{self.weighs} of {self.title}")
        return (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
            f"<p>Simulated. Shares are shares of {self.weighs},"
            f" {_amount(self.weighs, self.total)} in all.</p>\n{self._tree()}"
            f"<h2>As perf report prints it</h2><pre>{html.escape(self.report())}</pre></body></html>\n"
        )

    def _tree(self) -> str:
        return "".join(self._branch(self.chains, 0))

    def _branch(self, chains: Mapping[tuple[str, ...], int], depth: int) -> Iterator[str]:
        for name, its in _by_head(chains, depth):
            weight = sum(its.values())
            share = 100 * weight / self.total
            told = (
                f'<span class="share">{share:.2f} %</span> <span class="bar" style="width:{share / 5:.2f}em"></span> '
            )
            below = {chain: it for chain, it in its.items() if len(chain) > depth + 1}
            if below:
                opened = " open" if share > 10 else ""
                yield f"<details{opened}><summary>{told}{html.escape(name)}</summary>"
                yield from self._branch(below, depth + 1)
                yield "</details>\n"
            else:
                yield f'<div class="leaf">{told}{html.escape(name)}</div>\n'


def _by_head(chains: Mapping[tuple[str, ...], int], at: int) -> list[tuple[str, dict[tuple[str, ...], int]]]:
    """Chains by their function number *at*, the heaviest first."""
    heads: dict[str, dict[tuple[str, ...], int]] = {}
    for chain, weight in chains.items():
        heads.setdefault(chain[at], {})[chain] = weight
    return sorted(heads.items(), key=lambda pair: (-sum(pair[1].values()), pair[0]))


def _callers(chains: dict[tuple[str, ...], int], total: int, least: float, lead: str) -> Iterator[str]:
    """Chains of equal first function, leaf first: down to where they part, then a branch for each way."""
    first = min(chains, key=len)
    common = 0
    while common < len(first) and len({chain[: common + 1] for chain in chains}) == 1:
        common += 1
    yield f"{lead} {first[0]}" if common else lead
    indent = " " * (len(lead) + 1)
    yield from (f"{indent}{name}" for name in first[1:common])
    rest = {chain[common:]: weight for chain, weight in chains.items() if len(chain) > common}
    if not rest:
        return
    yield f"{indent}|"
    for _, its in _by_head(rest, 0):
        share = 100 * sum(its.values()) / total
        if share >= least:
            deeper = list(_callers(its, sum(its.values()), least, f"|--{share:.2f}%--"))
            yield indent + deeper[0]
            yield from (f"{indent}|{line[1:]}" for line in deeper[1:])
            yield f"{indent}|"


def _amount(weighs: str, weight: int) -> str:
    return f"{weight / 1e6:,.3f} ms" if weighs == "CPU time" else f"{weight:,}"


def to_json(graph: CallGraph) -> dict[str, Any]:
    """The graph as JSON values."""
    chains = [{"chain": list(chain[::-1]), "weight": weight} for chain, weight in sorted(graph.chains.items())]
    return {"title": graph.title, "weighs": graph.weighs, "total": graph.total, "chains": chains}
