// What is on the page: one film, one place in it, and everything that shows it.

import { layoutFor, surroundingMode, wantsStillness, watchMode } from "./appearance.js";
import { Branches, Notice } from "./branches.js";
import { Clock, SPEEDS } from "./clock.js";
import { Controls, RunName } from "./controls.js";
import { html, measureLists, setAttribute, setText } from "./dom.js";
import { findStop, openingPlace, Timeline } from "./film.js";
import { Goal } from "./goal.js";
import { Hands } from "./hands.js";
import { Help } from "./help.js";
import { actionOf, isLetter } from "./keyboard.js";
import { Lanes } from "./lanes.js";
import { Locks } from "./locks.js";
import { runName } from "./runname.js";
import { Scheduler } from "./scheduler.js";
import { Stage } from "./stage.js";
import { Changed, Counts, Next, Sentence } from "./story.js";
import { Threads } from "./threads.js";
import { Transcript } from "./transcript.js";

const HASTE = 200; // milliseconds a step: faster than this, nobody can follow a list that scrolls

/**
 * @typedef {{step?: number | null, speed?: number, theme?: "light" | "dark" | "auto", prediction?: string,
 *            heading?: "h1" | "h2", wholePage?: boolean, onStep?: (step: number) => void,
 *            onPlaying?: (playing: boolean) => void, onRuns?: (runs: any[]) => void,
 *            driver?: import("./scheduler.js").Driver}} Options
 *   `step` null: the first decision; `wholePage`: keys work wherever the focus is; `driver`: who lets tasks step, if
 *   the film has no world of its own; `onRuns`: told of every branch
 */

export class Player {
  /** @param {HTMLElement} host @param {any} film @param {Options} options */
  constructor(host, film, options) {
    this.film = film;
    this.options = options;
    this.timeline = new Timeline(film);
    this.clock = new Clock();
    this.clock.speed = SPEEDS.includes(options.speed ?? 1) ? options.speed ?? 1 : 1;
    this.focus = { ids: film.focus ?? [], label: film.focus_label ?? "the page" };
    /** @type {string | null} */
    this.task = null;
    /** @type {"light" | "dark" | null} */
    this.mode = options.theme === "light" || options.theme === "dark" ? options.theme : null;
    this.asked = 0;
    const driver = film.hands ? new Hands(film) : options.driver;
    this.scheduler = driver ? new Scheduler(driver, film) : null;
    this.#build();
    host.replaceChildren(this.el);
    this.stopWatching = watchMode(() => this.#showMode());
    this.sizes = new ResizeObserver(() => this.#fit());
    this.sizes.observe(this.el);
    this.keyTarget = options.wholePage ? document : this.el;
    this.keyTarget.addEventListener("keydown", this.onKey);
    if (this.scheduler) this.branches.show();
    this.#showMode();
    this.#fit();
    this.timeline.seek(options.step ?? openingPlace(this.timeline));
    this.#show(0);
  }

  get step() {
    return this.timeline.place;
  }

  get playing() {
    return this.clock.playing;
  }

  /** Go to a step; one step on or back is shown as motion. */
  seek(step, { quiet = false } = {}) {
    const from = this.timeline.place;
    this.timeline.seek(step);
    const moved = this.timeline.place !== from;
    if (moved) this.#show(Math.abs(this.timeline.place - from) === 1 && !wantsStillness() ? this.clock.motion : 0);
    if (moved && !quiet && !this.playing) this.options.onStep?.(this.step);
  }

  play() {
    if (this.playing) return;
    if (this.step >= this.timeline.length) this.seek(0);
    this.clock.playing = true;
    this.clock.reset();
    this.#showPlaying();
    this.#ask();
  }

  pause() {
    if (!this.playing) return;
    this.clock.playing = false;
    this.#showPlaying();
    this.options.onStep?.(this.step);
  }

  destroy() {
    cancelAnimationFrame(this.asked);
    this.clock.playing = false;
    this.stopWatching();
    this.sizes.disconnect();
    this.keyTarget.removeEventListener("keydown", this.onKey);
    this.el.remove();
  }

  /** Act on a key.  In JupyterLab a letter that means nothing here would still do something to the cell: keep it back. */
  onKey = (event) => {
    const name = actionOf(event);
    if (name || isLetter(event)) event.stopPropagation();
    if (!name) return;
    event.preventDefault();
    this.actions[name]();
  };

  /** Show another film of the same world, at a place: a branch, or the run with one step more. */
  setFilm(film, place, { still = false } = {}) {
    const from = this.timeline.place;
    this.film = film;
    this.timeline = new Timeline(film);
    for (const part of [this.threads, this.sentence, this.controls]) part.setFilm(film);
    this.next.setTimeline(this.timeline);
    this.#renew("locks", new Locks(this.timeline));
    this.#renew("lanes", new Lanes(film, this.actions.seek));
    this.#renew("transcript", new Transcript(this.timeline, this.actions.seek));
    this.lanes.resize();
    this.sentence.fit();
    setAttribute(this.el, "data-steps", this.timeline.length);
    this.timeline.seek(place);
    this.#show(!still && Math.abs(place - from) === 1 && !wantsStillness() ? this.clock.motion : 0);
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
    else if (task && this.scheduler) this.notice.show(`${task} cannot step now.`);
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

  #by(steps) {
    this.pause();
    this.seek(this.step + steps);
  }

  #to(step) {
    this.pause();
    this.seek(step);
  }

  #stop(kind, back = false) {
    this.#to(findStop(this.timeline, kind, { back, ids: this.focus.ids }));
  }

  #speed(speed) {
    this.clock.speed = speed;
    this.controls.showSpeed(speed);
  }

  #faster(by) {
    this.#speed(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, SPEEDS.indexOf(this.clock.speed) + by))]);
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
    if (!mark || mark.shape === "arrow" || mark.shape === "text") return;
    this.focus = { ids: [id], label: mark.say.split(/[:,]/)[0] || id };
    this.controls.show(this.step, this.focus.label);
  }

  #toggle(part, button) {
    setAttribute(button, "aria-expanded", String(part.toggle()));
  }

  #escape() {
    if (this.help.open) this.#toggle(this.help, this.helpButton);
    else if (this.task !== null) this.#chooseTask(this.task);
    else if (this.transcript.open) this.#toggle(this.transcript, this.transcriptButton);
    else if (this.branches.open) this.#toggle(this.branches, this.branchesButton);
  }

  #dark() {
    this.mode = this.el.dataset.theme === "dark" ? "light" : "dark";
    this.#showMode();
  }

  #build() {
    const { film } = this;
    this.actions = {
      toggle: () => (this.playing ? this.pause() : this.play()),
      forward: () => this.#by(1),
      back: () => this.#by(-1),
      first: () => this.#to(0),
      last: () => this.#to(this.timeline.length),
      decision: () => this.#stop("decision"),
      decisionBack: () => this.#stop("decision", true),
      lock: () => this.#stop("lock"),
      change: () => this.#stop("change"),
      preempt: () => this.#stop("preempt"),
      taskDown: () => this.#nextTask(1),
      taskUp: () => this.#nextTask(-1),
      escape: () => this.#escape(),
      faster: () => this.#faster(1),
      slower: () => this.#faster(-1),
      transcript: () => this.#toggle(this.transcript, this.transcriptButton),
      dark: () => this.#dark(),
      help: () => this.#toggle(this.help, this.helpButton),
      branches: () => this.scheduler && this.#toggle(this.branches, this.branchesButton),
      letLast: () => this.#letLast(),
      ...Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7, 8].map((number) => [`let${number}`, () => this.#letNumber(number)])),
      stop: (kind) => this.#stop(kind),
      seek: (step) => this.#to(step),
      speed: (value) => this.#speed(value),
    };
    this.stage = new Stage(film, (id) => this.#chooseMark(id));
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
    this.branchesButton = toggle("branches", "runs 1", "B");
    this.branchesButton.hidden = !this.scheduler;
    this.branches = this.scheduler ? new Branches(this.scheduler.tree, (id) => this.openRun(id), () => this.#showRuns()) : { el: null, open: false };
    this.darkButton = toggle("dark", "dark", "D");
    this.helpButton = toggle("help", "help", "?");
    const variant = [film.variant, film.variant_title && `(${film.variant_title})`].filter(Boolean).join(" ");
    this.el = html("div", { class: "rmapwalk rmw", tabindex: "0", role: "group", "aria-label": `Player: ${film.title}`, "data-steps": this.timeline.length, "data-playing": "false", },
    html("header", { class: "rmw-head" },
      html("div", {}, html(this.options.heading ?? "h2", {}, film.title), html("p", {}, `world ${film.world} · variant ${variant}${film.cut ? ` · ${film.cut} more steps are not in this film` : ""}`)),
      html("div", { class: "rmw-tools" }, this.branchesButton, this.transcriptButton, this.darkButton, this.helpButton)),
    this.help.el, this.goal?.el ?? null, this.branches.el,
    html("div", { class: "rmw-columns" },
      html("div", { class: "rmw-left" }, this.threads.el, this.changed.el),
      html("section", { class: "rmw-middle", "aria-label": "Machine" }, html("div", { class: "rmw-over" }, html("h3", {}, "Machine"), this.counts.el), this.stage.el),
      this.locks.el, this.next.el),
    html("div", { class: "rmw-dock" }, this.notice.el, this.sentence.el, this.controls.el),
    this.lanes.el, html("footer", { class: "rmw-foot" }, this.name.el), this.transcript.el);
  }

  #show(duration) {
    const { timeline } = this;
    const changed = new Set(timeline.step.changed.map((it) => it.mark).filter(Boolean));
    const colour = this.film.tasks.find((task) => task.id === timeline.step.task)?.colour ?? "muted";
    this.el.style.setProperty("--now", `var(--rw-${colour})`);
    setAttribute(this.el, "data-step", timeline.place);
    this.clock.weight = timeline.step.changed.length > 0 || timeline.step.flags.includes("bug") ? 1 : 0.5;
    this.stage.show(timeline.marks, { duration, changed });
    this.stage.label(`The machine after step ${timeline.place}. ${timeline.step.changed.map((it) => `${it.what}: ${it.to}.`).join(" ")}`);
    const follow = !this.playing || this.clock.dwell > HASTE;
    this.threads.show(timeline, this.task, follow);
    this.locks.show(timeline, changed, follow);
    this.sentence.show(timeline, this.playing);
    this.changed.show(timeline, this.options.prediction ?? "");
    this.counts.show(timeline);
    this.next.show(timeline);
    this.goal?.show(this.film, timeline.place, this.scheduler?.stateAt(timeline.place) ?? null);
    this.lanes.show(timeline.place);
    this.controls.show(timeline.place, this.focus.label);
    if (!this.playing) this.name.show(runName(timeline));
    this.transcript.show(timeline.place);
    this.#showMoving();
    this.#ask();
  }

  #showPlaying() {
    this.controls.showPlaying(this.playing);
    setAttribute(this.el, "data-playing", String(this.playing));
    this.sentence.show(this.timeline, this.playing);
    this.name.show(runName(this.timeline));
    this.options.onPlaying?.(this.playing);
  }

  #showMoving() {
    setAttribute(this.el, "data-moving", String(this.stage.moving.size > 0));
  }

  #showMode() {
    const mode = this.mode ?? surroundingMode();
    setAttribute(this.el, "data-theme", mode);
    setText(this.darkButton.firstChild, mode === "dark" ? "light" : "dark");
  }

  #fit() {
    const layout = layoutFor(this.el.clientWidth);
    setAttribute(this.el, "data-layout", layout);
    this.stage.reflow(layout === "narrow");
    this.lanes.resize();
    this.sentence.fit();
    measureLists([...this.el.querySelectorAll(".rmw-cards, .rmw-handlers, .rmw-locklist")]);
  }

  /** Ask for a frame, unless one is under way or there is nothing to do in it. */
  #ask() {
    if (this.asked || (!this.playing && this.stage.moving.size === 0)) return;
    this.asked = requestAnimationFrame((now) => this.#frame(now));
  }

  #frame(now) {
    this.asked = 0;
    const { elapsed, steps } = this.clock.frame(now);
    this.stage.tick(elapsed);
    if (steps > 0) this.seek(this.step + steps);
    if (this.playing && this.step >= this.timeline.length) this.pause();
    this.#showMoving();
    this.#ask();
    if (!this.asked) this.clock.last = null;
  }
}

/** The whole run's name. */
function nameOf(film) {
  const timeline = new Timeline(film);
  timeline.seek(timeline.length);
  return runName(timeline);
}
