"""Call graphs: context switches and CPU time are different questions, and every form says the same numbers."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sim.__main__ import main
from sim.analysis.callgraph import CallGraph
from sim.analysis.cputime import cputime
from sim.analysis.profile import graph
from sim.engines.costs import DEFAULT, ROWS, Costs, Row
from sim.engines.timed import run

TOY = CallGraph("a toy", "context switches", {("a", "b", "c"): 6, ("a", "d", "c"): 2, ("a", "b"): 2})


def numa02(**options: object) -> CallGraph:
    """Where CPU time goes with 8 threads."""
    found, _ = cputime("numa02", threads=8, pages=4, nodes=2, **options)  # type: ignore[arg-type]
    return found


def test_folded_stacks_are_one_line_a_chain() -> None:
    """Outermost first, then the weight: what flamegraph.pl reads."""
    assert TOY.folded().splitlines() == ["a;b 2", "a;b;c 6", "a;d;c 2"]


def test_speedscope_finds_its_frames_and_weights() -> None:
    """Samples are numbers into the shared frames, weights as many, and the end is their sum."""
    data = json.loads(TOY.speedscope())
    assert data["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    (profile,) = data["profiles"]
    names = [it["name"] for it in data["shared"]["frames"]]
    read = {
        tuple(names[at] for at in sample): w for sample, w in zip(profile["samples"], profile["weights"], strict=True)
    }
    assert read == TOY.chains
    assert (profile["type"], profile["unit"], profile["startValue"], profile["endValue"]) == ("sampled", "none", 0, 10)
    assert "context switches" in profile["name"]


def test_the_report_parts_where_the_callers_part() -> None:
    """As perf report: the function's share of all, its branches' shares of it, what is left out stays out."""
    text = TOY.report()
    assert "# context switches of a toy (simulated)" in text
    assert " 80.00%  [k] c" in text
    assert "|--75.00%-- b" in text
    assert "|--25.00%-- d" in text
    assert "|--25.00%-- d" not in TOY.report(least=30)


class Tags(HTMLParser):
    """Checks that tags are closed in order, and collects text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_escapes_names() -> None:
    """No script, no link; a name with a bracket is a name; each share stands in it."""
    page = Tags()
    page.feed(CallGraph("<b>", "CPU time", {("f<int>", "g"): 3, ("f<int>",): 1}).html())
    assert page.open == []
    assert not page.seen & {"script", "link", "img", "b"}
    assert "f<int>" in page.text
    assert "75.00 %" in page.text
    assert "shares of CPU time" in page.text


def test_context_switches_are_those_of_the_run() -> None:
    """Every switch is in the graph: sleeps and ends."""
    timed = run("numa02", threads=8, pages=4, nodes=2)
    found = graph(timed)
    assert found.total == timed.counts["context_switches"]
    assert {chain[-1] for chain in found.chains} == {"perf_trace_sched_switch"}
    assert next(it for it in found.by_function() if it[0] == "mutex_lock")[2] == timed.counts["anon_vma_lock_waits"]


def test_cpu_time_is_what_the_steps_cost() -> None:
    """With a run of one thread, which never waits, it is the length of the run."""
    found, timed = cputime("numa02", threads=1, pages=8, nodes=2)
    assert found.total == timed.elapsed_ns


def test_sleepers_cost_no_cpu_time_and_spinners_do() -> None:
    """Under hand-off most CPUs are idle; under stealing they spin on the owner; readers that share do neither."""
    handoff, steal, rwsem = numa02(), numa02(policy="steal"), numa02(variant="rwsem_v38")
    spun = {name: own for name, own, _ in steal.by_function()}
    assert "mutex_spin_on_owner" in spun
    assert "mutex_spin_on_owner" not in {name for name, _, _ in [*handoff.by_function(), *rwsem.by_function()]}
    assert spun["mutex_spin_on_owner"] > 0.1 * steal.total


def test_waiting_for_ipis_is_cpu_time_in_the_flush() -> None:
    """Whoever sends a flush spins until the last CPU has answered: slower delivery, more of it; and handlers cost."""
    late, dear = DEFAULT.with_("ipi_delivery_remote", 5000), DEFAULT.with_("ipi_handler", 4000)
    now, slow, costly = ({name: own for name, own, _ in numa02(costs=it).by_function()} for it in (DEFAULT, late, dear))
    assert slow["smp_call_function_many"] >= now["smp_call_function_many"] + 32 * 3000
    assert costly["flush_tlb_func"] == 10 * now["flush_tlb_func"]


def test_what_costs_nothing_has_no_cpu_time() -> None:
    """A table of zeros but for the copy: all CPU time is the copy's."""
    costs = Costs([Row(it.name, it.ns if it.name.startswith("copy_page") else 0, it.what) for it in ROWS])
    found = numa02(costs=costs, policy="handoff")
    assert {chain[-1] for chain in found.chains} == {"migrate_page_copy"}
    assert found.total == 32 * DEFAULT["copy_page_remote"]


@pytest.mark.parametrize("form", ["html", "folded", "speedscope"])
@pytest.mark.parametrize("cpu", [(), ("--cpu",)])
def test_the_command_writes_each_form(
    form: str, cpu: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To a file, saying which of the two questions it answers."""
    command = ["profile", "numa02", "--variant", "mutex_v37", "--threads", "2", "--pages", "2", *cpu]
    target = tmp_path / "out"
    assert main([*command, "--format", form, "-o", str(target)]) == 0
    assert ("CPU time" if cpu else "context switches") in capsys.readouterr().out
    text = target.read_text()
    assert "migrate_misplaced_page" in text
    assert (form == "folded") == (text.splitlines()[0].rpartition(" ")[2].isdigit())
