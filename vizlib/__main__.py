"""``python -m vizlib``: a run as a page, a picture, or in the browser.

    python -m vizlib export "one_page mutex_v37 a3b2" -o run.html
    python -m vizlib export stack_grows --variant rfc_remap_unlocked --step 60 -o torn.svg
    python -m vizlib export stack_grows --hands -o stack.html
    python -m vizlib level stale_entry -o level.html
    python -m vizlib compare "two_migrators mutex_v37" "two_migrators rwsem_v38" -o both.html
    python -m vizlib compare "stack_grows rfc_remap_unlocked" -o why.html
    python -m vizlib waits "batch_deadlock~B7 batch_2mb" -o ring.svg
    python -m vizlib chart staircase -o staircase.svg
    python -m vizlib lanes numa02 mutex_v37 threads=4 pages=8 -o lanes.html
    python -m vizlib recording course/recorded/trace-6.12.txt --section s4idle -o recorded.html
    python -m vizlib open move_pages

A run is a run name, a world (then a run worth looking at is chosen), or the file of a saved trace.  Bad input is one
line on stderr and exit code 2; nothing is written then.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from sim.errors import BadParameter, UserError
from vizlib import saving
from vizlib.charting import CHARTS

if TYPE_CHECKING:
    from sim.trace import Trace


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        options = _parser().parse_args(args)
        if options.command is None:
            _parser().print_help()
            return 0
        data, words = options.command(options)
    except UserError as error:
        print(f"vizlib: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vizlib: stopped", file=sys.stderr)
        return 130
    print(json.dumps(data, indent=2) if options.json else words)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m vizlib", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(command=None, json=False)
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)
    for name, function, text in (
        ("export", _export, f"write a run to a file: {', '.join(WRITERS)}"),
        ("open", _open, "show a run in the browser"),
        ("text", _text, "print one step of a run as text"),
        ("waits", _waits, "who waits for whom, a deadlock marked: print it, or with -o draw it"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(command=function)
        command.add_argument(
            "run", metavar="RUN", help='a run name such as "one_page mutex_v37 a3b2", a world, or a file'
        )
        command.add_argument("--variant", help="the variant, if RUN is a world")
        command.add_argument("--step", type=int, metavar="N", help="the step to show; 0 is the start")
        command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        if name == "export":
            command.add_argument("-o", "--output", required=True, metavar="FILE", help="where to; its suffix says what")
            command.add_argument("--dark", action="store_true", help="a dark picture (.svg and .png)")
            command.add_argument("--hands", action="store_true", help="the reader can be the scheduler (.html)")
        if name == "waits":
            command.add_argument("-o", "--output", metavar="FILE", help="draw it; a suffix of .svg or .png")
            command.add_argument("--dark", action="store_true", help="a dark picture")
    pair = commands.add_parser("compare", help="write two runs beside each other as a page")
    pair.set_defaults(command=_compare)
    pair.add_argument("run", metavar="RUN", help="a run name, a world, or a file; a violation if OTHER is left away")
    pair.add_argument("other", metavar="OTHER", nargs="?", help="the other run; the nearest that passes if left away")
    pair.add_argument("-o", "--output", required=True, metavar="FILE", help="where to; a suffix of .html")
    pair.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    level = commands.add_parser("level", help="write a goal level as a page; without a name, list them")
    level.set_defaults(command=_level)
    level.add_argument("name", nargs="?", metavar="NAME", help="the level")
    level.add_argument("-o", "--output", metavar="FILE", help="where to; a suffix of .html")
    level.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    chart = commands.add_parser(
        "chart",
        help="draw a series of runs under the clock (simulated)",
        description=f"Draw a series of runs under the clock: {', '.join(CHARTS)}.",
    )
    kinds = chart.add_subparsers(metavar="KIND", parser_class=_Parser, required=True)
    for kind, it in CHARTS.items():
        its = kinds.add_parser(kind, help=it.text, description=it.text)
        its.set_defaults(command=_chart, kind=kind)
        its.add_argument("-o", "--output", required=True, metavar="FILE", help="where to; a suffix of .svg or .png")
        its.add_argument("--dark", action="store_true", help="a dark picture")
        its.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        it.options(its)
    lanes = commands.add_parser("lanes", help="a run under the clock, a lane a thread: print it, or with -o draw it")
    lanes.set_defaults(command=_lanes)
    lanes.add_argument("world", metavar="WORLD", help="the world; python -m sim worlds lists them")
    lanes.add_argument("variant", metavar="VARIANT", help="the variant; python -m sim variants lists them")
    lanes.add_argument("params", metavar="NAME=NUMBER", nargs="*", default=[], help="parameters of the world")
    lanes.add_argument("--policy", default="handoff", help="who gets a released lock: handoff, steal or sleep")
    lanes.add_argument("--seed", type=int, default=0, help="for the small differences between threads")
    about = "where to: .html can be zoomed, .svg and .png are stills, .json opens in Perfetto (ui.perfetto.dev)"
    lanes.add_argument("-o", "--output", metavar="FILE", help=about)
    lanes.add_argument("--dark", action="store_true", help="a dark picture (.svg and .png)")
    lanes.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    recorded = commands.add_parser(
        "recording", help="a recording of a real kernel as lanes or, with --said, in sentences"
    )
    recorded.set_defaults(command=_recording)
    recorded.add_argument("trace", metavar="TRACE", help="the text that ftrace, trace-cmd or perf printed")
    recorded.add_argument("--section", metavar="NAME", help="which section of the file (not needed if it has one)")
    recorded.add_argument("--said", action="store_true", help="print a sentence for each record")
    recorded.add_argument("-o", "--output", metavar="FILE", help=about)
    recorded.add_argument("--dark", action="store_true", help="a dark picture (.svg and .png)")
    recorded.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return parser


def _chart(options: argparse.Namespace) -> tuple[Any, str]:
    from vizlib.charts import save_chart

    target = _picture_file(options.output, f"the chart '{options.kind}'")
    chart = CHARTS[options.kind]
    found = chart.measure(options)
    saving.write(target, lambda part: save_chart(chart.draw(found, "dark" if options.dark else "light"), part))
    return {"file": str(target), "bytes": target.stat().st_size, **found.to_json()}, f"{found}\n{target} is written"


def _load(options: argparse.Namespace) -> Trace:
    from vizlib.showcase import named

    trace = named(options.run, options.variant)
    if options.step is not None and not 0 <= options.step <= len(trace.events):
        raise BadParameter(f"--step {options.step} is not allowed: this run has the steps 0 to {len(trace.events)}")
    return trace


# --- commands ------------------------------------------------------------------------------------------------------


def _export(options: argparse.Namespace) -> tuple[Any, str]:
    target = Path(options.output)
    if target.suffix not in WRITERS:
        raise BadParameter(f"'{options.output}' has no suffix that can be written; there are: {', '.join(WRITERS)}")
    trace = _load(options)
    if options.hands and target.suffix != ".html":
        raise BadParameter(f"--hands is for a page, and '{options.output}' is none: take a suffix of .html")
    writer = _html_with_hands if options.hands else WRITERS[target.suffix]
    saving.write(target, lambda part: writer(trace, options.step, options.dark, part))
    step = len(trace.events) if options.step is None else options.step
    size = target.stat().st_size
    data = {"file": str(target), "bytes": size, "run_name": trace.run_name, "steps": len(trace.events), "step": step}
    return data, f"{target}: {size:,} bytes, {trace.run_name}"


def _open(options: argparse.Namespace) -> tuple[Any, str]:
    import tempfile
    import webbrowser

    trace = _load(options)
    target = Path(tempfile.mkdtemp(prefix="rmapwalk-")) / "run.html"
    saving.write(target, lambda part: _html(trace, options.step, False, part))
    address = target.as_uri() + ("" if options.step is None else f"#step={options.step}")
    shown = webbrowser.open(address)
    if not shown and not options.json:
        return None, f"no browser was found; open {address}"
    data = {"file": str(target), "address": address, "run_name": trace.run_name, "opened": shown}
    return data, f"{address}: {trace.run_name}"


def _text(options: argparse.Namespace) -> tuple[Any, str]:
    from vizlib.renderers.text import render

    trace = _load(options)
    words = render(trace, options.step)
    return {"run_name": trace.run_name, "step": options.step, "text": words}, words.rstrip("\n")


def _waits(options: argparse.Namespace) -> tuple[Any, str]:
    from vizlib.moments import Run
    from vizlib.renderers.text import waits
    from vizlib.waitfor import wait_graph

    target = None if options.output is None else _picture_file(options.output, "who waits for whom")
    trace = _load(options)
    words = waits(trace, options.step).rstrip("\n")
    step = len(trace.events) if options.step is None else options.step
    graph = wait_graph(Run(trace).moment(step))
    data = {
        "run_name": trace.run_name,
        "step": step,
        "edges": [
            {"from": graph.said[it.source], "words": it.words, "to": graph.said[it.target]} for it in graph.edges
        ],
        "deadlocks": [[graph.said[it] for it in circle] for circle in graph.circles],
    }
    if target is None:
        return data, words
    saving.write(target, lambda part: _waits_picture(trace, options.step, options.dark, part))
    return {"file": str(target), "bytes": target.stat().st_size, **data}, f"{target}: {words}"


def _picture_file(name: str, what: str) -> Path:
    target = Path(name)
    if target.suffix not in (".svg", ".png"):
        raise BadParameter(f"{what} is drawn as .svg or .png, and '{name}' has another suffix")
    return target


def _waits_picture(trace: Trace, step: int | None, dark: bool, part: Path) -> None:
    from vizlib.renderers.mpl import render_waits, save

    save(render_waits(trace, step, "dark" if dark else "light"), part)


def _compare(options: argparse.Namespace) -> tuple[Any, str]:
    from vizlib.compare import compare, counterexample
    from vizlib.renderers.html import page
    from vizlib.showcase import named

    target = Path(options.output)
    if target.suffix != ".html":
        raise BadParameter(f"two runs are written as a page: '{options.output}' needs a suffix of .html")
    run = named(options.run)
    made = counterexample(run) if options.other is None else compare(run, named(options.other))
    saving.write(target, lambda part: saving.text_file(part, page(made)))
    size = target.stat().st_size
    data = {"file": str(target), "bytes": size, "runs": [it["run_name"] for it in made["compare"]]}
    return data, f"{target}: {size:,} bytes, {made['title']}"


def _lanes(options: argparse.Namespace) -> tuple[Any, str]:
    from sim.cli.base import done, progress
    from sim.engines import timed
    from sim.errors import UnknownName
    from sim.schedule import parse_params
    from sim.variants import find as find_variant
    from sim.worlds import find as find_world
    from vizlib.timeline import text, timeline

    target = None if options.output is None else saving.lanes_target(options.output)
    if options.policy not in timed.POLICIES:
        raise UnknownName("policy", options.policy, timed.POLICIES)
    world, variant = find_world(options.world), find_variant(options.variant)
    params = parse_params(",".join(options.params)) if options.params else {}
    told = progress(options, f"{world.name} under {variant.name}")
    try:
        run = timed.run(
            world, variant, policy=options.policy, seed=options.seed, record=True, params=params, progress=told
        )
    finally:
        done(told)
    made = timeline(run)
    data = {"world": world.name, "variant": variant.name, "params": run.params, "policy": options.policy}
    data |= {"seed": options.seed, "elapsed_ns": made["end"], "steps": made["events"]}
    heading = f"{world.name} under {variant.name}: {made['start']['sentence']}"
    if target is None:
        return data | {"text": text(made)}, f"{heading}\n\n{text(made)}"
    saving.write(target, lambda part: saving.lanes_file(made, heading, options.dark, part))
    size = target.stat().st_size
    return {"file": str(target), "bytes": size, **data}, f"{target}: {size:,} bytes, {heading}"


def _recording(options: argparse.Namespace) -> tuple[Any, str]:
    from sim.cli.base import done, progress
    from sim.ftrace import Recording, lines_of, watched
    from vizlib.recordings import chosen, recorded_lanes, sentence
    from vizlib.timeline import in_order, strips

    target = None if options.output is None else saving.lanes_target(options.output)
    told = progress(options, f"{options.trace}: lines")
    recording = Recording(watched(lines_of(Path(options.trace)), told))
    try:
        section, records = chosen(recording, options.section)
    finally:
        done(told)
    made = recorded_lanes(records, section, kernel=recording.kernel)
    heading = f"{section or 'the whole recording'}: {made['start']['sentence']}"
    data = {"kernel": recording.kernel, "section": section, "records": made["events"], "elapsed_ns": made["end"]}
    data |= {"lines_read": recording.lines, "lines_unknown": recording.unknown}
    if options.said:
        data["said"] = [sentence(it) for it in records]
        heading += "\n\n" + "\n".join(data["said"])
    if target is None:
        data["text"] = strips(in_order(made))
        return data, f"{heading}\n\n{data['text']}"
    saving.write(target, lambda part: saving.lanes_file(made, heading.partition("\n")[0], options.dark, part))
    size = target.stat().st_size
    return {"file": str(target), "bytes": size, **data}, f"{target}: {size:,} bytes, {heading}"


def _level(options: argparse.Namespace) -> tuple[Any, str]:
    from vizlib.levels import LEVELS, level_film
    from vizlib.renderers.html import page

    if options.name is None:
        words = "\n".join(f"{it.name:<14}{it.title} ({it.world}, {it.variant})" for it in LEVELS.values())
        return {it.name: {"title": it.title, "world": it.world, "variant": it.variant} for it in LEVELS.values()}, words
    if options.output is None or not options.output.endswith(".html"):
        raise BadParameter("a level is written as a page: add -o FILE.html")
    film = level_film(options.name)
    target = Path(options.output)
    saving.write(target, lambda part: saving.text_file(part, page(film)))
    goal, size = film["goal"], target.stat().st_size
    data = {"file": str(target), "bytes": size, "level": options.name, "par": goal["par"], "states": goal["states"]}
    return data, f"{target}: {size:,} bytes, {goal['title']}: {goal['par']} preemptions, {goal['states']:,} states"


def _html(trace: Trace, step: int | None, dark: bool, part: Path) -> None:
    from vizlib.film import film
    from vizlib.renderers.html import page

    part.write_text(page(film(trace, open_at=step)), encoding="utf-8")


def _html_with_hands(trace: Trace, step: int | None, dark: bool, part: Path) -> None:
    from vizlib.film import film
    from vizlib.renderers.html import page

    part.write_text(page(film(trace, open_at=step, hands=True)), encoding="utf-8")


def _trace_file(trace: Trace, step: int | None, dark: bool, part: Path) -> None:
    trace.save(part)


def _movie(trace: Trace, step: int | None, dark: bool, part: Path) -> None:
    from vizlib.renderers.movie import gif, mp4

    def progress(done: int, of: int) -> None:
        end = "\n" if done == of else ""
        print(f"\r{done} of {of} pictures", end=end, file=sys.stderr, flush=True) if sys.stderr.isatty() else None

    write = mp4 if part.suffix == ".mp4" else gif
    write(trace, part, "dark" if dark else "light", progress=progress)


def _picture(trace: Trace, step: int | None, dark: bool, part: Path) -> None:
    from vizlib.renderers.mpl import render, save

    save(render(trace, step, "dark" if dark else "light"), part)


#: What can be written, by suffix.
WRITERS: dict[str, Callable[[Trace, int | None, bool, Path], None]] = {
    ".html": _html,
    ".svg": _picture,
    ".png": _picture,
    ".gif": _movie,
    ".mp4": _movie,
    ".json": _trace_file,
}


if __name__ == "__main__":
    sys.exit(main())
