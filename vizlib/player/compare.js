// Two runs beside each other, on one axis: the same step in both, or the same time.

import { layoutFor } from "./appearance.js";
import { Notice, outcome } from "./branches.js";
import { Controls } from "./controls.js";
import { html, setAttribute } from "./dom.js";
import { Timeline } from "./film.js";
import { Graphs } from "./graphs.js";
import { Help } from "./help.js";
import { Lanes } from "./lanes.js";
import { Stage } from "./stage.js";
import { Sentence } from "./story.js";
import { Transcript } from "./transcript.js";
import { Transport } from "./transport.js";

/** @typedef {{places: number[][], at?: number[], unit?: string}} Axis for each place the places of the two runs, and where it stands */

export class Compare extends Transport {
  /** @param {HTMLElement} host @param {any} film one with two films in it @param {import("./view.js").Options} options */
  constructor(host, film, options) {
    super(film, options);
    /** @type {Axis} */
    this.axis = film.axis;
    this.runs = film.compare.map((it, side) => new Run(it, side, this.axis, (place) => this.to(place)));
    this.stages = this.runs.map((run) => run.stage);
    this.#build();
    this.begin(host, options.step ?? film.open_at ?? 0);
  }

  #build() {
    const { film } = this;
    const button = (name, label, key) => html("button", { type: "button", class: "rmw-stop", "data-action": name, onclick: () => this.actions[name]() }, html("span", {}, label), html("kbd", {}, key));
    this.controls = new Controls(film, /** @type {any} */ (this.actions), [["differ", "difference", "N"], ["lock", "lock event", "L"], ["preempt", "preemption", "P"]]);
    this.controls.showSpeed(this.clock.speed);
    this.transcript = new Transcript(this.timeline, this.actions.seek);
    this.help = new Help();
    this.notice = new Notice();
    [this.graphsButton, this.transcriptButton, this.lectureButton, this.darkButton, this.helpButton] = [button("graphs", "graphs", "G"), button("transcript", "in words", "T"), button("lecture", "lecture", "F"), button("dark", "dark", "D"), button("help", "help", "?")];
    Object.assign(this.actions, {
      transcript: () => this.toggle(this.transcript, this.transcriptButton),
      help: () => this.toggle(this.help, this.helpButton),
      graphs: () => this.#toggleGraphs(),
      decision: () => this.stop("differ"),
      decisionBack: () => this.stop("differ", true),
    });
    this.el = html("div", { class: "rmapwalk rmw rmw-compare", tabindex: "0", role: "group", "aria-label": `Two runs: ${film.title}`, "data-steps": this.timeline.length, "data-playing": "false" },
      html("div", { class: "rmw-head" }, html("div", {}, html(this.options.heading ?? "h2", {}, film.title), html("p", {}, film.note ?? "")),
        html("div", { class: "rmw-tools" }, this.graphsButton, this.transcriptButton, this.lectureButton, this.darkButton, this.helpButton)),
      this.help.el, film.why ? this.#why(film.why) : null,
      html("div", { class: "rmw-pair" }, ...this.runs.map((run) => run.el)), html("div", { class: "rmw-dock" }, this.notice.el, this.controls.el), this.transcript.el);
  }

  /** The graphs of both, or the machines. */
  #toggleGraphs() {
    const open = !this.runs[0].graphs.open;
    for (const run of this.runs) run.toggleGraphs(open);
    setAttribute(this.graphsButton, "aria-expanded", String(open));
    this.stages = this.runs.flatMap((run) => [run.stage, ...(open ? run.graphs.stages : [])]);
  }

  /** Why the one fails and the other does not. */
  #why({ sentence, swaps, note }) {
    return html("section", { class: "rmw-why", "aria-label": "What made the difference" }, html("h3", {}, "What made the difference"), html("p", {}, sentence),
      html("ol", {}, ...swaps.map(({ words, place }) => html("li", {}, html("button", { type: "button", class: "rmw-stop", onclick: () => this.to(place) }, words)))), html("p", { class: "rmw-none" }, note));
  }

  show(duration) {
    const { place } = this.timeline;
    setAttribute(this.el, "data-step", place);
    this.runs.forEach((run, side) => run.show(this.axis.places[place][side], duration, this.playing));
    const at = this.axis.at?.[place];
    this.controls.show(place, "", at === undefined ? undefined : `${Math.round(at).toLocaleString("en")} ${this.axis.unit}`);
    this.transcript.show(place);
    this.showMoving();
    this.ask();
  }

  fit() {
    const layout = layoutFor(this.el.clientWidth);
    setAttribute(this.el, "data-layout", layout);
    for (const run of this.runs) run.fit(layout === "narrow");
    const room = Math.max(...this.runs.map((run) => run.sentence.el.offsetHeight)); // so that the pictures below stand level
    for (const run of this.runs) run.sentence.el.style.minHeight = `${room}px`;
  }
}

/** One of the two. */
class Run {
  constructor(film, side, axis, onSeek) {
    this.film = film;
    this.timeline = new Timeline(film);
    this.stage = new Stage(film, () => {});
    this.graphs = new Graphs(this.timeline, film.label);
    this.sentence = new Sentence(film);
    const first = film.steps.map((_, step) => axis.places.findIndex((places) => places[side] > step));
    const whereOf = (place) => (place <= 0 ? 0 : first[Math.ceil(place) - 1] ?? axis.places.length - 1);
    const at = (place) => axis.at?.[whereOf(place)] ?? whereOf(place);
    const span = axis.at?.at(-1) ?? axis.places.length - 1;
    const nearest = (value) => (axis.at ? axis.at.findLastIndex((it) => it <= value) : Math.round(value));
    this.lanes = new Lanes(film, onSeek, { span, at, place: nearest });
    this.lanes.el.setAttribute("aria-label", `Lanes of ${film.label}`);
    const word = outcome(film);
    this.el = html("section", { class: "rmw-run", "aria-label": film.label, "data-ends": word === "open" || word === "finished" ? word : "bug" },
      html("h3", {}, film.label), html("p", { class: "rmw-none rmw-which", title: film.run_name }, film.run_name), html("div", {}, this.sentence.el), this.stage.el, this.graphs.el, this.lanes.el);
  }

  show(place, duration, playing) {
    const { timeline } = this;
    const near = Math.abs(timeline.place - place) <= 1;
    timeline.seek(place);
    const { step } = timeline;
    const by = this.film.tasks.find((task) => task.id === step.task)?.colour ?? "muted";
    setAttribute(this.el, "data-place", place);
    const changed = new Set(step.changed.map((it) => it.mark).filter(Boolean));
    this.stage.show(timeline.marks, { duration: near ? duration : 0, changed, by });
    this.graphs.show(near ? duration : 0, changed, by);
    const { violation } = this.film;
    this.stage.accuse(violation && place >= violation.step ? violation.marks ?? [] : []);
    this.stage.label(`${this.film.label}: the machine after step ${place}.`);
    this.sentence.show(timeline, playing);
    this.lanes.show(place);
  }

  toggleGraphs(open) {
    this.graphs.toggle(open);
    this.stage.el.hidden = open;
    for (const stage of this.graphs.stages) stage.finish();
  }

  fit(narrow) {
    this.stage.reflow(narrow);
    this.lanes.resize();
    this.sentence.fit();
  }
}
