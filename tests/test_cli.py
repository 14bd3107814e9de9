"""The command line: one JSON object and nothing else, the keys that scripts rely on, exit codes, and the counts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

import sim.cli
import vizlib.cli
from sim import __main__ as command
from sim import trace, variants
from sim.engines.checker import check
from sim.engines.costs import ROWS
from sim.engines.counts import COUNTS, TIMED_COUNTS
from sim.engines.stepper import replay
from sim.engines.timed import POLICIES
from sim.errors import UserError
from sim.worlds import WORLDS

RFC = ("stack_grows", "--variant", "rfc_remap_unlocked")


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """``told("worlds")``: the JSON that the command prints, after a look that it prints nothing else."""

    def run(*argv: str, code: int = 0) -> Any:
        assert command.main([*argv, "--json"]) == code
        said = capsys.readouterr()
        assert said.err == ""
        value, end = json.JSONDecoder().raw_decode(said.out)
        assert said.out[end:] == "\n"
        assert isinstance(value, dict)
        return value

    return run


# --- what is printed -------------------------------------------------------------------------------------


def test_worlds_lists_every_world_with_its_parameters(told: Callable[..., Any]) -> None:
    """Names, titles, and for each parameter default, bounds and meaning."""
    said = told("worlds")
    assert list(said) == list(WORLDS)
    assert {"one_page", "two_migrators", "stack_grows", "numa_only", "numa02", "move_pages"} <= set(said)
    for name, it in said.items():
        assert it["title"] == WORLDS[name].title
        for param in it["params"].values():
            assert set(param) == {"default", "low", "high", "text"}
            assert param["low"] <= param["default"] <= param["high"]


def test_variants_lists_every_variant(told: Callable[..., Any]) -> None:
    """Names, titles, and what each claims."""
    said = told("variants")
    assert list(said) == list(variants.names())
    assert {"mutex_v37", "rfc_remap_unlocked", "rwsem_v38"} <= set(said)
    assert said["rfc_remap_unlocked"]["verdicts"]["stack_grows"] == "unsafe"


def test_run_tells_what_scripts_rely_on(told: Callable[..., Any]) -> None:
    """The keys of a run, and of its counts; pages a second are pages over elapsed time."""
    said = told("run", "numa02", "--variant", "rwsem_v38", "--threads", "2", "--pages", "3", "--seed", "5")
    keys = {
        "world",
        "variant",
        "params",
        "pages_migrated",
        "elapsed_ns",
        "pages_per_second",
        "counts",
        "seed",
        "run_name",
    }
    assert set(said) == keys | {"policy"}
    assert set(said["counts"]) == {
        "unmap_walks", "remap_walks", "anon_vma_locks", "anon_vma_lock_waits", "tlb_flushes", "ipis_received",
        "context_switches", "page_copies", "pte_visits_unmap", "pte_visits_remap", "faults", "migration_entry_waits",
    }  # fmt: skip
    assert set(said["counts"]) == {*COUNTS, *TIMED_COUNTS}
    assert (said["world"], said["variant"], said["seed"]) == ("numa02", "rwsem_v38", 5)
    assert said["params"] == {"threads": 2, "pages": 3, "nodes": 4, "ranges": 1, "rounds": 1, "scan": 0, "huge": 0}
    assert said["pages_migrated"] == 6
    assert said["pages_per_second"] == pytest.approx(6e9 / said["elapsed_ns"])


def test_a_quick_run_says_whether_it_was_extrapolated(told: Callable[..., Any]) -> None:
    """It tells the same numbers, and gives a run name only if it has run to the end."""
    command = ("run", "numa02", "--variant", "mutex_v37", "--threads", "2", "--nodes", "2", "--pages", "40")
    quick, whole = told(*command, "--quick"), told(*command)
    assert (quick.pop("extrapolated"), quick.pop("within")) == (True, 0.0)
    assert quick.items() < whole.items()
    assert set(whole) - set(quick) == {"run_name"}
    assert told(*command, "--pages", "5", "--quick")["run_name"]


def test_a_run_by_tape_says_so_and_tells_the_runs_numbers(
    told: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same numbers and no run name; and where there can be no tape, one line that says why."""
    asked = ("run", "numa02", "--variant", "rwsem_v38", "--threads", "2", "--nodes", "2", "--pages", "12")
    tape, whole = told(*asked, "--tape"), told(*asked)
    assert tape.pop("taped") == 5
    assert tape.items() < whole.items()
    assert set(whole) - set(tape) == {"run_name"}
    assert command.main([*asked, "--tape"]) == 0
    assert "replayed from a tape, which with 5 pages a thread does what the run does" in capsys.readouterr().out
    assert command.main([*asked, "--tape", "--seed", "1"]) == 2
    assert "cannot be replayed from a tape: with a seed no two pages cost the same" in capsys.readouterr().err


def test_the_run_name_that_run_prints_can_be_replayed(told: Callable[..., Any]) -> None:
    """Copied from one command to the other, it gives the same run: as many walks, copies and flushes."""
    ran = told("run", "two_migrators", "--variant", "mutex_v37", "--seed", "3")
    said = told("replay", ran["run_name"])
    assert said["run_name"] == ran["run_name"]
    points = [point for event in said["events"] for point in event["points"]]
    assert points.count("unmap_walk") == ran["counts"]["unmap_walks"] > 0
    assert points.count("tlb_flush") == ran["counts"]["tlb_flushes"] > 0
    assert sum(event["op"][0] == "CopyPage" for event in said["events"]) == ran["counts"]["page_copies"] > 0


def test_the_same_seed_prints_the_same(told: Callable[..., Any]) -> None:
    """All of it, and another seed is another run."""
    argv = ("run", "numa02", "--variant", "mutex_v37", "--threads", "4", "--pages", "4", "--seed")
    assert told(*argv, "1") == told(*argv, "1") != told(*argv, "2")


@pytest.mark.parametrize(
    ("argv", "verdict", "code"),
    [
        (("stack_grows", "--variant", "mutex_v37"), "safe", 0),
        (RFC, "unsafe", 1),
        (("stack_grows", "--variant", "mutex_v37", "--limit", "10"), "undecided", 3),
    ],
)
def test_check_tells_its_verdict_by_its_exit_code(
    told: Callable[..., Any], argv: tuple[str, ...], verdict: str, code: int
) -> None:
    """0 safe, 1 unsafe, 3 undecided; and the keys of a verdict."""
    said = told("check", *argv, code=code)
    keys = {"world", "variant", "params", "verdict", "states", "transitions", "complete", "depth", "bound"}
    assert set(said) == keys | {"violations"}
    assert bool(said["bound"]) == (verdict != "safe")
    assert (said["verdict"], said["complete"]) == (verdict, verdict == "safe")
    assert said["states"] > 0
    assert said["transitions"] > 0
    assert len(said["violations"]) == (verdict == "unsafe")
    for it in said["violations"]:
        assert set(it) == {"kind", "sentence", "rule", "where", "run_name", "steps"}


def test_a_counterexample_is_a_run_name_that_replays(told: Callable[..., Any]) -> None:
    """What check prints, replay follows to the same violation, at the step that was told."""
    (found,) = told("check", *RFC, code=1)["violations"]
    assert found["kind"] == "stale migration entry"
    said = told("replay", found["run_name"])
    assert set(said) == {"run_name", "events", "final_memory_hash", "violations"}
    assert [(it["kind"], it["rule"]) for it in said["violations"]] == [(found["kind"], found["rule"])]
    assert len(said["events"]) == found["steps"]
    assert said["events"][-1]["outcome"] == "bug"


def test_profile_tells_both_branches(told: Callable[..., Any]) -> None:
    """Where threads slept on the anon_vma lock: the unmap walk and the remap walk, with their shares."""
    said = told("profile", "numa02", "--variant", "mutex_v37", "--threads", "8", "--pages", "4")
    assert {it["site"] for it in said["branches"]} == {"page_lock_anon_vma", "rmap_walk"}
    assert sum(it["percent"] for it in said["branches"]) == pytest.approx(100)
    assert sum(it["count"] for it in said["branches"]) == said["anon_vma_lock"]["count"]
    assert said["context_switches"] == said["anon_vma_lock"]["count"] + sum(it["count"] for it in said["others"])


def test_luck_tells_how_often_and_how_sure(told: Callable[..., Any]) -> None:
    """Runs, failures by kind, and an interval that holds the share."""
    said = told("luck", *RFC, "--runs", "40", "--preempt", "1")
    assert said["runs"] == 40
    assert said["failures"] == sum(said["found"].values())
    low, high = said["interval"]
    assert 0 <= low <= said["failures"] / 40 <= high <= 1


def test_replay_saves_the_trace(told: Callable[..., Any], tmp_path: Path) -> None:
    """With -o it also writes a file, which loads as the same run."""
    said = told("replay", "one_page mutex_v37 a9b2", "-o", str(tmp_path / "run.json"))
    loaded = trace.load(tmp_path / "run.json")
    assert (loaded.run_name, loaded.final_memory_hash) == (said["run_name"], said["final_memory_hash"])
    assert len(loaded.events) == len(said["events"]) == 11


def test_new_variant_writes_a_template_that_is_checked_as_it_stands(
    told: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is found, has the base's verdict, and says what may be defined in it."""
    path = tmp_path / "homework.py"
    assert told("new-variant", "homework", "-o", str(path)) == {"name": "homework", "path": str(path)}
    monkeypatch.setattr(variants, "__path__", [*variants.__path__, str(tmp_path)])
    variants.find.cache_clear()
    try:
        assert "homework" in told("variants")
        said = told("check", "stack_grows", "--variant", "homework")
        assert (said["verdict"], said["states"]) == ("safe", check("stack_grows", "mutex_v37").states)
    finally:
        variants.find.cache_clear()
        sys.modules.pop("sim.variants.homework", None)
    assert "rmap_walk_anon_unlock(k, anon_vma)" in path.read_text()


def test_without_json_the_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict in words, and the command that replays the counterexample."""
    assert command.main(["check", *RFC]) == 1
    said = capsys.readouterr().out
    found = check("stack_grows", "rfc_remap_unlocked").violations[0]
    assert "stack_grows under rfc_remap_unlocked: unsafe" in said
    assert f'python -m sim replay "{found.run_name}"' in said
    with pytest.raises(json.JSONDecodeError):
        json.loads(said)


def test_every_cost_is_listed_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    """A line a row of the table, and in JSON everything that the row says."""
    assert command.main(["costs"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert command.main(["costs", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    for row, line, it in zip(ROWS, lines, told, strict=True):
        assert line.startswith(f"{row.name} ")
        assert line.endswith(f"  {row.confidence}  {row.what}  ({row.source})")
        assert it == asdict(row)


def test_each_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command, a list of all; for each, its options."""
    assert command.main([]) == 0
    listed = capsys.readouterr().out
    for name in ("worlds", "variants", "run", "check", "profile", "replay", "luck", "new-variant"):
        assert name in listed
        with pytest.raises(SystemExit) as done:
            command.main([name, "--help"])
        assert done.value.code == 0
        said = capsys.readouterr().out
        assert "--json" in said
        assert all(it in said for it in POLICIES) or name not in ("run", "profile")


# --- as a program ----------------------------------------------------------------------------------------


def program(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m sim`` in a process of its own."""
    return subprocess.run([sys.executable, "-m", "sim", *argv], capture_output=True, text=True)


def test_the_program_ends_with_the_verdicts_exit_code() -> None:
    """What a script sees: JSON on stdout, nothing on stderr, 1 for unsafe."""
    done = program("check", *RFC, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["verdict"] == "unsafe"


def test_the_program_refuses_in_one_line() -> None:
    """Exit code 2, no traceback."""
    done = program("run", "one_pag", "--variant", "mutex_v37")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("sim: no world is called 'one_pag'; nearest: one_page, ")


# --- the counts of the mail ------------------------------------------------------------------------------


@pytest.mark.parametrize(("spinners", "ipis"), [(0, 0), (3, 1536)])
def test_moving_2_mib_takes_1024_locks(told: Callable[..., Any], spinners: int, ipis: int) -> None:
    """512 pages: 512 + 512 walks, 1,024 locks, 512 flushes, 512 copies; an IPI for each flush and other CPU."""
    said = told("run", "move_pages", "--variant", "mutex_v37", "--pages", "512", "--spinners", str(spinners))
    counts = said["counts"]
    assert (counts["unmap_walks"], counts["remap_walks"]) == (512, 512)
    assert counts["anon_vma_locks"] == 1024
    assert counts["tlb_flushes"] == counts["page_copies"] == 512
    assert counts["ipis_received"] == ipis
    assert said["pages_migrated"] == 512


@pytest.mark.parametrize(("variant", "locks"), [("mutex_v37", 2), ("rwsem_v38", 2), ("rfc_remap_unlocked", 1)])
@pytest.mark.parametrize("passes", [1, 3, 10])
def test_each_failed_attempt_adds_its_locks(told: Callable[..., Any], variant: str, locks: int, passes: int) -> None:
    """A pinned page is unmapped and put back in each pass: two locks more, or one where the remap walk takes none."""
    argv = ("run", "move_pages", "--variant", variant, "--pages", "5", "--passes", str(passes), "--pinned")
    none, two = told(*argv, "0"), told(*argv, "2")
    assert none["counts"]["anon_vma_locks"] == 5 * locks
    assert two["counts"]["anon_vma_locks"] == 3 * locks + 2 * passes * locks
    assert (none["pages_migrated"], two["pages_migrated"]) == (5, 3)
    assert two["counts"]["page_copies"] == 3


def test_the_counts_of_a_run_are_those_of_its_replay(told: Callable[..., Any]) -> None:
    """A replayed trace counts the same: nothing was counted that did not happen."""
    from sim.engines import counts

    said = told("run", "move_pages", "--variant", "mutex_v37", "--pages", "6", "--spinners", "2", "--pinned", "1")
    assert counts.count(replay(said["run_name"]).events).items() <= said["counts"].items()


def test_move_pages_takes_writers_children_and_an_idle_cpu(told: Callable[..., Any]) -> None:
    """Four pages that two children share count once each, though twelve PTEs change; nobody is interrupted."""
    asked = ("run", "move_pages", "--variant", "v61", "--pages", "4", "--children", "2", "--stale-cpu", "1")
    said = told(*asked)
    assert (said["pages_migrated"], said["counts"]["pte_visits_unmap"], said["counts"]["ipis_received"]) == (4, 12, 0)
    assert said["params"]["stale_cpu"] == 1
    assert told(*asked, "--writers", "1")["pages_migrated"] == 4


WORLD_COMMANDS = ("check", "luck", "promela", "run", "profile", "lockstat", "usage", "convergence", "scaling")


@pytest.mark.parametrize(
    "called", [*WORLD_COMMANDS, "chart lockstat -o x.svg", "lanes", "text --step 2", "export -o x.svg"]
)
def test_what_a_world_is_told_is_written_one_way_or_the_other(called: str) -> None:
    """With dashes, as a run name says it, or mixed: the same is read; a name that is none is named with the nearest."""
    name = called.split()[0]
    read = next(it for it in (sim.cli.parser(), vizlib.cli.parser()) if name in it.texts).parse_args
    known = vars(read([*called.split(), "move_pages", "--variant", "rwsem_v38", "--stale-cpu", "1", "--pages", "4"]))
    assert (known["variant"], known["stale_cpu"], known["pages"]) == ("rwsem_v38", 1, 4)
    for words in (
        "stale_cpu=1 pages=4 --variant rwsem_v38",
        "rwsem_v38 --pages 4 stale_cpu=1",
        "rwsem_v38 pages=4 --stale-cpu=1",
    ):
        assert vars(read([*called.split(), "move_pages", *words.split()])) == known, words
    with pytest.raises(UserError, match="no parameter is called 'pagse'; nearest: pages"):
        read([*called.split(), "move_pages", "rwsem_v38", "pagse=4"])
