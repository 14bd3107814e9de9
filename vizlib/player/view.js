// What is on the page: one film, one place in it, and everything that shows it.

import { layoutFor, wantsStillness } from "./appearance.js";
import { Branches, Notice } from "./branches.js";
import { Controls, RunName } from "./controls.js";
import { html, measureLists, setAttribute, setText } from "./dom.js";
import { openingPlace, Timeline } from "./film.js";
import { Goal } from "./goal.js";
import { Graphs } from "./graphs.js";
import { Hands } from "./hands.js";
import { Help } from "./help.js";
import { Lanes } from "./lanes.js";
import { Locks } from "./locks.js";
import { runName } from "./runname.js";
import { Scheduler } from "./scheduler.js";
import { Stage } from "./stage.js";
import { Changed, Counts, Next, Sentence } from "./story.js";
import { Threads } from "./threads.js";
import { Transcript } from "./transcript.js";
import { Transport } from "./transport.js";

const UNCHOSEN = new Set(["arrow", "text"]); // shapes that "next change" does not look for
const HASTE = 200; // milliseconds a step: faster than this, nobody can follow a list that scrolls

/**
 * @typedef {{step?: number | null, speed?: number, theme?: "light" | "dark" | "auto", prediction?: string,
 *            heading?: "h1" | "h2", wholePage?: boolean, onStep?: (step: number) => void,
 *            onPlaying?: (playing: boolean) => void, onRuns?: (runs: any[]) => void,
 *            driver?: import("./scheduler.js").Driver}} Options
 *   `step` null: the first decision; `wholePage`: keys work wherever the focus is; `driver`: who lets tasks step, if
 *   the film has no world of its own; `onRuns`: told of every branch
 */

export class Player extends Transport {
  /** @param {HTMLElement} host @param {any} film @param {Options} options */
  constructor(host, film, options) {
    super(film, options);
    /** @type {string | null} */
    this.task = null;
    const driver = film.hands ? new Hands(film) : options.driver;
    this.scheduler = driver ? new Scheduler(driver, film) : null;
    this.#build();
    if (this.scheduler) this.branches.show();
    this.begin(host, options.step ?? openingPlace(this.timeline));
  }

  /** Show another film of the same world, at a place: a branch, or the run with one step more. */
  setFilm(film, place, { still = false } = {}) {
    const from = this.timeline.place;
    this.film = film;
    this.timeline = new Timeline(film);
    for (const part of [this.stage, this.threads, this.sentence, this.controls]) part.setFilm(film);
    this.next.setTimeline(this.timeline);
    this.graphs.setTimeline(this.timeline);
    this.#moveGraphs();
    this.#renew("locks", new Locks(this.timeline));
    this.#renew("lanes", new Lanes(film, this.actions.seek));
    this.#renew("transcript", new Transcript(this.timeline, this.actions.seek));
    this.levelHeadings();
    this.lanes.resize();
    this.sentence.fit();
    setAttribute(this.el, "data-steps", this.timeline.length);
    this.timeline.seek(place);
    this.show(!still && Math.abs(place - from) === 1 && !wantsStillness() ? this.clock.motion : 0);
  }

  #renew(name, part) {
    const { open = false } = this[name];
    this[name].el.replaceWith(part.el);
    this[name] = part;
    if (open) part.toggle(true);
  }

  /** Let a task make a step here, as the reader wishes. */
  async let(task, choice = null) {
    await this.#schedule(async (scheduler) => ({ film: await scheduler.step(this.step, task, choice), place: this.step + 1 }));
  }

  /** The same, until others can see what it did. */
  async letOn(task) {
    await this.#schedule((scheduler) => scheduler.runOn(this.step, task));
  }

  async #schedule(act) {
    const { scheduler } = this;
    if (!scheduler || scheduler.busy) return;
    this.pause();
    scheduler.busy = true;
    try {
      const { film, place } = await act(scheduler);
      this.notice.show("");
      if (film === this.film) this.seek(place);
      else this.setFilm(film, place);
    } catch (error) {
      this.notice.show(`That step could not be made: ${error.message}.`);
    } finally {
      scheduler.busy = false;
    }
    this.#showRuns();
  }

  #letNumber(number) {
    const task = this.film.tasks[number]?.id;
    const choices = this.scheduler?.choices(this.step).get(task);
    if (choices) this.let(task, choices[0]);
    else if (task && this.scheduler) this.notice.show(`${task} cannot step now${this.#whyNot(task)}.`);
  }

  #whyNot(task) {
    const { blocked, done } = this.timeline.now;
    const why = blocked.find((it) => it.task === task)?.why ?? (done.includes(task) ? "has finished" : "");
    return why && `: it ${why}`;
  }

  #letLast() {
    const task = this.timeline.step.task ?? this.timeline.now.next[0]?.task;
    if (task && this.scheduler?.choices(this.step).has(task)) this.letOn(task);
  }

  /** Show another of the runs tried. */
  openRun(id) {
    const { tree } = /** @type {Scheduler} */ (this.scheduler);
    tree.current = id;
    this.pause();
    this.setFilm(tree.now.film, Math.min(this.step, tree.now.film.steps.length), { still: true });
    this.#showRuns();
  }

  #showRuns() {
    const { tree } = /** @type {Scheduler} */ (this.scheduler);
    this.branches.show();
    setText(this.branchesButton.firstChild, `runs ${tree.branches.length}`);
    this.options.onRuns?.(tree.branches.map(({ name, film, parent, at }) => ({ name, parent, at, run_name: nameOf(film) })));
    this.options.onStep?.(this.step);
  }

  #chooseTask(id) {
    this.task = id === this.task ? null : id;
    this.threads.show(this.timeline, this.task);
  }

  #nextTask(by) {
    const ids = this.film.tasks.map((task) => task.id);
    const at = this.task === null ? (by > 0 ? -1 : ids.length) : ids.indexOf(this.task);
    this.#chooseTask(ids[(at + by + ids.length) % ids.length]);
  }

  #chooseMark(id) {
    const mark = this.timeline.marks.get(id);
    if (!mark || UNCHOSEN.has(mark.shape)) return;
    this.focus = { ids: [id], label: mark.say.split(/[:,]/)[0] || id };
    this.controls.show(this.step, this.focus.label);
  }

  /** The next thing that "next change" could look for: as a click on it, for who has keys only. */
  #chooseNext() {
    const ids = [...this.timeline.marks].filter(([id, mark]) => mark.say && /^(token|pte|tlb):/.test(id)).map(([id]) => id);
    if (ids.length === 0) return;
    this.#chooseMark(ids[(ids.indexOf(this.focus.ids[0]) + 1) % ids.length]);
    this.notice.show(`“Next change” looks for ${this.focus.label}.`, false);
  }

  /** The graphs, or the machine. */
  #toggleGraphs() {
    this.stage.el.hidden = !this.graphs.open;
    this.toggle(this.graphs, this.graphsButton);
    setText(this.middleTitle, this.graphs.open ? "Graphs" : "Machine");
    this.#moveGraphs();
  }

  #moveGraphs() {
    this.stages = [this.stage, ...(this.graphs.open ? this.graphs.stages : [])];
    for (const stage of this.graphs.stages) stage.finish();
  }

  #escape() {
    if (this.help.open) this.toggle(this.help, this.helpButton);
    else if (this.task !== null) this.#chooseTask(this.task);
    else if (this.transcript.open) this.toggle(this.transcript, this.transcriptButton);
    else if (this.branches.open) this.toggle(this.branches, this.branchesButton);
    else if (this.graphs.open) this.#toggleGraphs();
  }

  #build() {
    const { film } = this;
    Object.assign(this.actions, {
      taskDown: () => this.#nextTask(1),
      taskUp: () => this.#nextTask(-1),
      chooseNext: () => this.#chooseNext(),
      escape: () => this.#escape(),
      forward: () => this.lecture.forward(),
      hide: () => this.lecture.hide(),
      find: () => {
        this.transcript.find();
        setAttribute(this.transcriptButton, "aria-expanded", "true");
      },
      transcript: () => this.toggle(this.transcript, this.transcriptButton),
      help: () => this.toggle(this.help, this.helpButton),
      graphs: () => this.#toggleGraphs(),
      branches: () => this.scheduler && this.toggle(this.branches, this.branchesButton),
      letLast: () => this.#letLast(),
      ...Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7, 8].map((number) => [`let${number}`, () => this.#letNumber(number)])),
    });
    this.stage = new Stage(film, (id) => this.#chooseMark(id));
    this.stages = [this.stage];
    this.graphs = new Graphs(this.timeline);
    this.middleTitle = html("h3", {}, "Machine");
    this.threads = new Threads(film, (task) => this.#chooseTask(task));
    this.locks = new Locks(this.timeline);
    this.sentence = new Sentence(film);
    this.changed = new Changed();
    this.counts = new Counts(film);
    this.next = new Next(this.timeline, this.scheduler && { choices: (place) => this.scheduler.choices(place), step: (...it) => this.let(...it), runOn: (task) => this.letOn(task) });
    this.notice = new Notice();
    this.goal = film.goal ? new Goal(film.goal) : null;
    this.lanes = new Lanes(film, this.actions.seek);
    this.controls = new Controls(film, this.actions);
    this.controls.showSpeed(this.clock.speed);
    this.name = new RunName();
    this.transcript = new Transcript(this.timeline, this.actions.seek);
    this.help = new Help();
    const toggle = (name, label, key) => html("button", { type: "button", class: "rmw-stop", "data-action": name, onclick: this.actions[name] },
      html("span", {}, label), html("kbd", {}, key));
    this.transcriptButton = toggle("transcript", "in words", "T");
    this.graphsButton = toggle("graphs", "graphs", "G");
    this.lectureButton = toggle("lecture", "lecture", "F");
    this.branchesButton = toggle("branches", "runs 1", "B");
    this.branchesButton.hidden = !this.scheduler;
    this.branches = this.scheduler ? new Branches(this.scheduler.tree, (id) => this.openRun(id), () => this.#showRuns()) : { el: null, open: false };
    this.darkButton = toggle("dark", "dark", "D");
    this.helpButton = toggle("help", "help", "?");
    const variant = [film.variant, film.variant_title && `(${film.variant_title})`].filter(Boolean).join(" ");
    this.el = html("div", { class: "rmapwalk rmw", tabindex: "0", role: "group", "aria-label": `Player: ${film.title}`, "data-steps": this.timeline.length, "data-playing": "false", },
    html("div", { class: "rmw-head" },
      html("div", {}, html(this.options.heading ?? "h2", {}, film.title), html("p", {}, `world ${film.world} · variant ${variant}${film.cut ? ` · ${film.cut} more steps are not in this film` : ""}`)),
      html("div", { class: "rmw-tools" }, this.branchesButton, this.graphsButton, this.transcriptButton, this.lectureButton, this.darkButton, this.helpButton)),
    this.help.el, this.goal?.el ?? null, this.branches.el,
    html("div", { class: "rmw-columns" },
      html("div", { class: "rmw-left" }, this.threads.el, this.changed.el),
      html("section", { class: "rmw-middle", "aria-label": "Machine" }, html("div", { class: "rmw-over" }, this.middleTitle, this.counts.el), this.stage.el, this.graphs.el),
      this.locks.el, this.next.el),
    html("div", { class: "rmw-dock" }, this.notice.el, this.sentence.el, this.controls.el),
    this.lanes.el, html("div", { class: "rmw-foot" }, this.name.el), this.transcript.el);
  }

  show(duration) {
    const { timeline } = this;
    const changed = new Set(timeline.step.changed.map((it) => it.mark).filter(Boolean));
    const colour = this.film.tasks.find((task) => task.id === timeline.step.task)?.colour ?? "muted";
    setAttribute(this.el, "data-step", timeline.place);
    this.clock.weight = timeline.step.changed.length > 0 || timeline.step.flags.includes("bug") ? 1 : 0.5;
    this.stage.show(timeline.marks, { duration, changed, by: colour });
    this.graphs.show(duration, changed, colour);
    const { violation } = this.film;
    this.stage.accuse(violation && timeline.place >= violation.step ? violation.marks ?? [] : []);
    this.stage.label(`The machine after step ${timeline.place}. ${timeline.step.changed.map((it) => `${it.what}: ${it.to}.`).join(" ")}`);
    const follow = !this.playing || this.clock.dwell > HASTE;
    this.threads.show(timeline, this.task, follow);
    this.locks.show(timeline, changed, colour, follow);
    this.sentence.show(timeline, this.playing);
    this.changed.show(timeline, colour, this.options.prediction ?? "");
    this.counts.show(timeline, colour);
    this.next.show(timeline);
    this.goal?.show(this.film, timeline.place, this.scheduler?.stateAt(timeline.place) ?? null);
    this.lanes.show(timeline.place);
    this.controls.show(timeline.place, this.focus.label);
    if (!this.playing) this.name.show(runName(timeline));
    this.transcript.show(timeline.place);
    this.showMoving();
    this.ask();
  }

  showPlaying() {
    super.showPlaying();
    this.sentence.show(this.timeline, this.playing);
    this.name.show(runName(this.timeline));
  }

  fit() {
    const layout = layoutFor(this.el.clientWidth);
    setAttribute(this.el, "data-layout", layout);
    this.stage.reflow(layout === "narrow");
    this.lanes.resize();
    this.sentence.fit();
    measureLists([...this.el.querySelectorAll(".rmw-cards, .rmw-handlers, .rmw-locklist")]);
  }
}

/** The whole run's name. */
function nameOf(film) {
  const timeline = new Timeline(film);
  timeline.seek(timeline.length);
  return runName(timeline);
}
