"""A world as Promela text: another checker, Spin, searches the same states and says the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sim.analysis.promela import Model, promela
from sim.analysis.spin import Compared, Said, compare, spin, table
from sim.cli import main
from sim.errors import BadParameter
from sim.variants import find as variant
from sim.worlds import find as world

TABLE = Path(__file__).parent.parent.parent / "docs" / "spin.md"
#: Small worlds, what Spin must say of them, and whether it has to go through all states for that.
WORLDS = {
    ("stack_grows", "mutex_v37"): "safe",
    ("stack_grows", "rfc_remap_unlocked"): "assertion",
    ("reclaim_under_lock~gfp_kernel", "mutex_v37"): "deadlock",
    ("pinned_page~no_count_test", "rwsem_v38"): "assertion",  # only the final state shows it
}


def model_of(name: str, under: str) -> Model:
    """The text of a world with its small parameters."""
    return promela(world(name), variant(under), limit=20_000)


@pytest.mark.usefixtures("with_spin")
@pytest.mark.parametrize(("name", "under"), WORLDS)
def test_spin_says_what_the_checker_says(name: str, under: str) -> None:
    """Safe with as many states, one for one; a broken rule, on the way or in the end; a deadlock."""
    found = compare(model_of(name, under), name, under)
    assert found.said is not None, found.why
    assert found.agrees
    assert found.said.verdict == WORLDS[name, under]


@pytest.mark.usefixtures("with_spin")
def test_what_was_never_seen_is_an_error(tmp_path: Path) -> None:
    """A step that does something else than the checker saw leads Spin to a combination that the text rejects."""
    text = model_of("stack_grows", "mutex_v37").text
    (lock,) = re.findall(r"(f\[\d+\]) A_stack\.mutex:", text)
    wrong = text.replace(f"{lock} = 0", f"{lock} = {lock}")
    assert wrong != text
    assert spin(wrong, tmp_path).verdict != "safe"


def test_the_text_is_the_same_every_time_and_says_what_the_numbers_mean() -> None:
    """Fields and values by their names, steps with their lines of kernel code."""
    model = model_of("stack_grows", "mutex_v37")
    assert model.text == model_of("stack_grows", "mutex_v37").text
    assert "f0.PG_locked: 0 None; 1 worker */" in model.text
    assert "Acquire(lock=A_stack.mutex" in model.text
    assert "sim/kernel/rmap.py:" in model.text
    assert "stack_grows under mutex_v37, passes=2: 7,776 states" in model.text
    assert (model.states, model.kinds) == (7776, ())


def test_a_world_of_which_not_all_is_known_is_refused() -> None:
    """A text about some of the states would prove nothing."""
    with pytest.raises(BadParameter, match=r"has more than 10 states: raise --limit"):
        promela(world("stack_grows"), variant("mutex_v37"), limit=10)


def test_other_words_are_told_apart() -> None:
    """A count that differs, an error of another kind, and a Spin that fails are no agreement."""
    safe, unsafe = Model("", 10, ()), Model("", 10, ("deadlock",))
    for model, said, agrees in (
        (safe, Said("safe", 10), True),
        (safe, Said("safe", 11), False),
        (safe, Said("assertion", 10), False),
        (unsafe, Said("deadlock", 4), True),
        (unsafe, Said("assertion", 4), False),
        (unsafe, Said("safe", 10), False),
    ):
        compared = Compared("w", "v", model, said)
        assert compared.agrees == agrees
        assert ("| **" in table([compared])) is not agrees
    assert not Compared("w", "v", safe, None, "spin: gcc failed").agrees
    assert Compared("w", "v", None, None, "more than 5 states").agrees


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To a file, or on the terminal; without Spin it says which package has it."""
    target = tmp_path / "world.pml"
    argv = ["promela", "stack_grows", "--variant", "mutex_v37"]
    assert main([*argv, "-o", str(target)]) == 0
    assert capsys.readouterr().out.endswith("stack_grows under mutex_v37, 7,776 states, safe\n")
    assert main([*argv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == target.read_text()


def test_without_spin_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And exit code 2."""
    monkeypatch.setattr("sim.analysis.spin.shutil.which", lambda name: None if name == "spin" else name)
    assert main(["spin", "--worlds", "one_page", "--limit", "50000", "--variants", "rwsem_v38"]) == 2
    assert capsys.readouterr().err == "sim: spin not found: Debian's packages spin and gcc have them\n"


def test_the_stored_table_says_what_the_variants_claim() -> None:
    """docs/spin.md: each cell is the verdict that the variant states for that world, and none is bold."""
    lines = [line.strip("| ").split(" | ") for line in TABLE.read_text("utf-8").splitlines() if line.startswith("|")]
    variants = [variant(it.strip("`")) for it in lines[0][1:]]
    assert len(lines) > 70
    for name, *cells in lines[2:]:
        for under, said in zip(variants, cells, strict=True):
            claimed = under.verdicts[name.strip("`")]
            assert said.startswith("safe, ") == (claimed == "safe"), f"{name} under {under.name}: {said}"
            assert "**" not in said
