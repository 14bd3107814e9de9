"""Bad input: one line that names the fault and the remedy, exit code 2, no traceback, and nothing written."""

from __future__ import annotations

import inspect
import io
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from sim import __main__ as command
from sim import errors, guard, variants
from sim.context import Context
from sim.engines import timed
from sim.engines.checker import check
from sim.engines.stepper import Stepper, replay
from sim.errors import BadParameter, BadSchedule, NotAnOperation, UnknownName, UserError
from sim.ops import Kernel
from sim.structs import AnonVma
from sim.worlds import WORLDS


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """``refused("run", "x")``: the one line with which the command refuses."""

    def run(*argv: str) -> str:
        assert command.main(argv) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("sim: ")
        assert said.err.count("\n") == 1
        assert "Traceback" not in said.err
        return said.err

    return run


# --- names and numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("run one_pge --variant mutex_v37", "no world is called 'one_pge'; nearest: one_page"),
        ("check stack_grow --variant mutex_v37", "no world is called 'stack_grow'; nearest: stack_grows"),
        ("luck numa_02 --variant mutex_v37", "no world is called 'numa_02'; nearest: numa02"),
        ("profile xyzzy --variant mutex_v37", "no world is called 'xyzzy'; there are: anon_vma_recycled, "),
        ("run one_page --variant mutex_v73", "no variant is called 'mutex_v73'; nearest: mutex_v37"),
        ("check one_page --variant rwsem", "no variant is called 'rwsem'; nearest: rwsem_v38"),
        (
            "run one_page --variant mutex_v37 --pages 2",
            "no parameter of world one_page is called 'pages'; nearest: passes",
        ),
        ("run one_page --variant mutex_v37 --policy handof", "no policy is called 'handof'; nearest: handoff"),
        ("replay 'one_page?pases=2 mutex_v37 a'", "no parameter of world one_page is called 'pases'; nearest: passes"),
        ("chek one_page", "invalid choice: 'chek'"),
        ("run one_page", "the following arguments are required: --variant"),
        ("check one_page", "the following arguments are required: --variant"),
        ("check --variant mutex_v37", "the following arguments are required: world"),
        ("where mm/rmapp.c:3", "no file of the kernel is called 'mm/rmapp.c'; nearest: mm/rmap.c"),
        ("new-variant class", "'class' cannot name a variant"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(refused: Callable[..., str], argv: str, says: str) -> None:
    """World, variant, parameter, policy, command: what there is that looks like it, or all that there is."""
    assert says in refused(*shlex.split(argv))


def test_an_unknown_field_is_answered_with_the_nearest() -> None:
    """A misspelt field of a struct raises at once, also where it is written."""
    with pytest.raises(AttributeError, match="struct AnonVma has no field 'rot'; nearest: root"):
        AnonVma("any").rot.set(None)


def test_an_unknown_task_is_answered_with_those_that_exist() -> None:
    """By name in the stepper, by letter in a schedule."""
    with pytest.raises(UnknownName, match=r"no task is called 'migrater'; nearest: a = migrator"):
        Stepper("one_page").step("migrater")
    with pytest.raises(BadSchedule, match=r"step 3: there is no task z; there are a = migrator, b = worker"):
        replay("one_page mutex_v37 a2z")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("run numa02 --threads 0", "threads=0 is not allowed in numa02: 1 to 128 (worker threads"),
        ("run numa02 --pages -1", "pages=-1 is not allowed in numa02: 1 to 512"),
        ("run numa02 --nodes 9", "nodes=9 is not allowed in numa02: 1 to 8"),
        ("run move_pages --spinners 32", "spinners=32 is not allowed in move_pages: 0 to 31"),
        ("run move_pages --pages 3 --pinned 4", "pinned=4 is not allowed in move_pages: 0 to 3 (pages=3)"),
        ("check one_page --passes 11", "passes=11 is not allowed in one_page: 1 to 10"),
        ("run one_page --passes two", "argument --passes: invalid int value: 'two'"),
        ("run one_page --costs 0", "--costs 0.0 is not allowed: a factor above 0"),
        ("run one_page --costs nan", "--costs nan is not allowed: a factor above 0"),
        ("run one_page --costs inf", "inf"),
        ("check one_page --limit 0", "--limit 0 is not allowed: at least 1 state"),
        ("luck one_page --runs 0", "--runs 0 is not allowed: at least 1"),
    ],
)
def test_an_impossible_number_is_answered_with_what_is_allowed(
    refused: Callable[..., str], argv: str, says: str
) -> None:
    """No threads, negative pages, more spinners than CPUs: the bounds, and what the number means."""
    assert says in refused(*argv.split(), "--variant", "mutex_v37")


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_every_parameter_is_held_to_its_bounds(world: Any) -> None:
    """One below and one above are refused, and so is what is no whole number; the bounds themselves are allowed."""
    for name, it in world.params.items():
        for value in (it.low - 1, it.high + 1, True, 1.5, "1", None):
            with pytest.raises(
                BadParameter, match=f"{name}={value!r} is not allowed in {world.name}: {it.low} to {it.high}"
            ):
                world.values({name: value})
        for value in (it.low, it.high):
            assert world.values({name: value})[name] == value


# --- run names -------------------------------------------------------------------------------------------


def test_a_run_name_that_steps_a_finished_task_says_when_and_who_could_run() -> None:
    """The step, the task, and the letters of those who could have gone on."""
    run = Stepper("one_page").run("worker")
    steps = len(run.events)
    assert run.machine.pending(run.task("worker")) is None
    name = f"{run.run_name}b"
    with pytest.raises(BadSchedule, match=rf"^step {steps + 1}: worker has finished; who could run: a = migrator$"):
        replay(name)


def test_a_run_name_that_steps_a_blocked_task_says_why_and_who_could_run() -> None:
    """Main holds the anon_vma's mutex, which worker needs."""
    blocked = Stepper("stack_grows", "mutex_v37")
    while not any("mutex" in str(lock) for lock, _ in blocked.machine.memory.get(blocked.task("a").held, ())):
        blocked.step("a")
    blocked.run("b")
    steps = len(blocked.events)
    with pytest.raises(
        BadSchedule,
        match=rf"^step {steps + 1}: worker is blocked \(it waits for the anon_vma lock of A_stack\); who could run: ",
    ):
        replay(f"{blocked.run_name}b")


def test_a_run_name_that_goes_on_after_a_violation_says_where_it_ended() -> None:
    """After the stale migration entry there is no next step."""
    name = check("stack_grows", "rfc_remap_unlocked").violations[0].run_name
    with pytest.raises(BadSchedule, match=r"the run ended at step \d+ with a violation \(stale migration entry\)"):
        replay(f"{name}a")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("one_page mutex_v37 a99999999999", "longer than 20,000,000 steps at character 1, 'a99999999'"),
        ("one_page mutex_v37 " + "a9999999" * 9, "longer than 20,000,000 steps at character 17"),
        ("one_page mutex_v37 a00", "a count starts at 1"),
        ("one_page mutex_v37 a.1", "step 1: choice .1, but there is nothing to decide"),
        (f"one_page?passes={'9' * 5000} mutex_v37 a", "is no parameter: write name=number"),
        ("one_page", "is no run name"),
        ("", "is no run name"),
    ],
)
def test_a_run_name_that_cannot_be_is_refused(refused: Callable[..., str], name: str, says: str) -> None:
    """Also one that would fill all memory before it was found to be wrong."""
    assert says in refused("replay", name)


# --- a reader's code -------------------------------------------------------------------------------------


def yields_a_number(k: Context, anon_vma: AnonVma) -> Kernel:
    yield 42  # type: ignore[misc]  # the fault


def yields_a_function(k: Context, anon_vma: AnonVma) -> Kernel:
    yield yields_a_number  # type: ignore[misc]  # the fault


def is_no_generator(k: Context, anon_vma: AnonVma) -> Any:
    return None


def returns_a_list(k: Context, anon_vma: AnonVma) -> Any:
    return [anon_vma.root]


def takes_too_little(k: Context) -> Kernel:
    yield from ()


def never_yields(k: Context, anon_vma: AnonVma) -> Kernel:
    yield from ()
    while True:
        pass


def goes_round(k: Context, anon_vma: AnonVma) -> Kernel:
    while True:
        yield anon_vma.root


def misspells(k: Context, anon_vma: AnonVma) -> Kernel:
    root = yield anon_vma.root
    yield root.mutx


FAULTS = [
    (yields_a_number, "yield 42", "yields 42, which is no operation"),
    (yields_a_function, "yield yields", "which is no operation"),
    (is_no_generator, "def ", "has no yield, so it is no kernel coroutine"),
    (returns_a_list, "def ", "has no yield, so it is no kernel coroutine"),
    (takes_too_little, "def ", "cannot be called as it must be"),
    (never_yields, "while True|pass", "lines without a yield; it never gives the CPU away"),
    (misspells, "yield root.mutx", "struct AnonVma has no field 'mutx'; nearest: mutex"),
]

ENGINES: dict[str, Callable[..., Any]] = {
    "stepper": lambda world, variant: Stepper(world, variant).finish(),
    "timed": timed.run,
    "checker": check,
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("function", "line", "says"), FAULTS, ids=[it[0].__name__ for it in FAULTS])
def test_what_a_reader_does_wrong_is_reported_with_file_and_line(
    engine: str, function: Callable[..., Any], line: str, says: str
) -> None:
    """In all engines: the reader's function is named, and never the kernel function that called it."""
    mine = variants.find("mutex_v37").changed("mine", rmap_walk_anon_lock=function)
    with pytest.raises(NotAnOperation) as caught:
        ENGINES[engine]("one_page", mine)
    source, first = inspect.getsourcelines(function)
    lines = {str(first + at) for at, text in enumerate(source) if any(it in text for it in line.split("|"))}
    file, number, rest = str(caught.value).split(":", 2)
    assert (Path(file).name, number in lines) == ("test_bad_input.py", True)
    assert rest.startswith(f" {function.__name__} ")
    assert says in rest


def test_code_that_never_yields_is_stopped_and_the_tracer_is_put_back() -> None:
    """Whoever traced before, such as a debugger, traces on."""
    before = sys.gettrace()
    mine = variants.find("mutex_v37").changed("mine", rmap_walk_anon_lock=never_yields)
    with pytest.raises(NotAnOperation, match=str(guard.MAX_LINES)):
        Stepper("one_page", mine).finish()
    assert sys.gettrace() is before


@pytest.mark.parametrize("engine", ["stepper", "timed"])
def test_code_that_goes_round_for_ever_is_stopped_in_an_engine_that_makes_one_run(engine: str) -> None:
    """It yields, so the CPU is given away, but nothing ever changes: the function and the line are named."""
    mine = variants.find("mutex_v37").changed("mine", rmap_walk_anon_lock=goes_round)
    with pytest.raises(NotAnOperation, match=r"test_bad_input.py:\d+: goes_round goes round and round: 20,000 steps"):
        ENGINES[engine]("one_page", mine)


def test_the_checker_calls_code_that_goes_round_for_ever_a_livelock() -> None:
    """It has seen every state, so it needs no bound."""
    mine = variants.find("mutex_v37").changed("mine", rmap_walk_anon_lock=goes_round)
    assert [it.kind for it in check("one_page", mine).violations] == ["livelock"]


def test_a_notebook_shows_bad_input_as_one_line() -> None:
    """IPython asks an exception how it wants to be shown: no traceback through the model."""
    shell = InteractiveShell.instance()
    printed = io.StringIO()
    with redirect_stdout(printed):
        result = shell.run_cell("from sim import Stepper\nStepper('one_pge')")
    assert isinstance(result.error_in_exec, UnknownName)
    (line,) = printed.getvalue().splitlines()
    assert line.startswith("UnknownName: no world is called 'one_pge'; nearest: one_page, ")


# --- a reader's file -------------------------------------------------------------------------------------


@pytest.fixture
def variant_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Writes a variant called ``homework`` into a folder where variants are looked for."""
    monkeypatch.setattr(variants, "__path__", [*variants.__path__, str(tmp_path)])
    variants.find.cache_clear()

    def write(text: str) -> Path:
        path = tmp_path / "homework.py"
        path.write_text(text)
        return path

    yield write
    variants.find.cache_clear()
    for name in [it for it in sys.modules if it.endswith(".homework")]:
        del sys.modules[name]


HEAD = '"""Homework"""\nBASE = "mutex_v37"\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "def rmap_walk_anon_lock(k, anon_vma):\n    yield 7\n", "homework.py:4: rmap_walk_anon_lock yields 7"),
        (HEAD + "def rmap_walk_anon_lock(k, anon_vma):\n    pass\n", "homework.py:3: rmap_walk_anon_lock has no yield"),
        (
            HEAD + "def rmap_walk_anon_lock(k, anon_vma):\n    while True:\n        yield from ()\n",
            "rmap_walk_anon_lock runs 200000 lines without a yield",
        ),
        (
            HEAD + "def rmap_walk_lock(k, anon_vma):\n    yield\n",
            "no seam is called 'rmap_walk_lock'; nearest: rmap_walk",
        ),
        (HEAD + "def f(:\n", "homework.py:3: variant homework cannot be loaded, SyntaxError"),
        (HEAD + "from sim.ops import Nothing\n", "homework.py:3: variant homework cannot be loaded, ImportError"),
        (HEAD + "import no_such_thing\n", "homework.py:3: variant homework cannot be loaded, ModuleNotFoundError"),
        (HEAD + "1 / 0\n", "homework.py:3: variant homework cannot be loaded, ZeroDivisionError"),
        ('"""Homework"""\nBASE = "homework"\n', "variant homework is built on itself"),
        ('"""Homework"""\nBASE = "mutex"\n', "no variant is called 'mutex'; nearest: mutex_v37"),
        ('BASE = "mutex_v37"\n', "variant homework has no title: give its file a docstring"),
        ('"""Homework"""\n', "or name a BASE"),
    ],
)
def test_a_variant_file_with_a_fault_is_reported_with_file_and_line(
    refused: Callable[..., str], variant_file: Callable[[str], Path], text: str, says: str
) -> None:
    """From the command line: one line that says where the fault is."""
    variant_file(text)
    assert says in refused("check", "one_page", "--variant", "homework")


# --- nothing is written ----------------------------------------------------------------------------------


def test_nothing_is_written_on_failure(refused: Callable[..., str], tmp_path: Path) -> None:
    """A run name that cannot be followed leaves no file, and an existing file is left as it was."""
    target = tmp_path / "run.json"
    refused("replay", "one_page mutex_v37 a2z", "-o", str(target))
    assert list(tmp_path.iterdir()) == []
    target.write_text("mine")
    refused("replay", "one_page mutex_v37 zz", "-o", str(target))
    assert "exists already" in refused("new-variant", "mine", "-o", str(target))
    assert "cannot name a variant" in refused("new-variant", "my own", "-o", str(tmp_path / "own.py"))
    assert [(it.name, it.read_text()) for it in tmp_path.iterdir()] == [("run.json", "mine")]


@pytest.mark.parametrize("argv", [("replay", "one_page mutex_v37 a", "-o"), ("new-variant", "mine", "-o")])
def test_where_nothing_can_be_written_the_reason_is_told(
    refused: Callable[..., str], tmp_path: Path, argv: tuple[str, ...]
) -> None:
    """A folder that does not exist."""
    assert "cannot be written: No such file or directory" in refused(*argv, str(tmp_path / "none" / "file"))


def test_an_existing_variant_is_not_overwritten(refused: Callable[..., str]) -> None:
    """``new-variant mutex_v37`` would replace one of ours."""
    assert "mutex_v37.py exists already; choose another name or -o FILE" in refused("new-variant", "mutex_v37")


def test_every_refusal_is_a_user_error() -> None:
    """The kinds of bad input have one base, by which the commands know them."""
    kinds = [it for it in vars(errors).values() if isinstance(it, type) and issubclass(it, Exception)]
    assert len(kinds) > 5
    assert all(issubclass(it, UserError) for it in kinds)
