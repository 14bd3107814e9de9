// The player: one film, one place in it, and everything that shows it.

import { layoutFor, surroundingMode, wantsStillness, watchMode } from "./appearance.js";
import { Clock, SPEEDS } from "./clock.js";
import { Controls, RunName } from "./controls.js";
import { html, measureLists, setAttribute, setText } from "./dom.js";
import { FilmError, findStop, openingPlace, Timeline } from "./film.js";
import { Help } from "./help.js";
import { actionOf, isLetter } from "./keyboard.js";
import { Lanes } from "./lanes.js";
import { Locks } from "./locks.js";
import { runName } from "./runname.js";
import { Stage } from "./stage.js";
import { Changed, Counts, Next, Sentence } from "./story.js";
import { Threads } from "./threads.js";
import { Transcript } from "./transcript.js";

const HASTE = 200; // milliseconds a step: faster than this, nobody can follow a list that scrolls

/**
 * @typedef {{step?: number | null, speed?: number, theme?: "light" | "dark" | "auto", prediction?: string,
 *            heading?: "h1" | "h2", wholePage?: boolean, onStep?: (step: number) => void,
 *            onPlaying?: (playing: boolean) => void}} Options
 *   `step` null: the first decision; `wholePage`: keys work wherever the focus is
 */

class Player {
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
    this.#build();
    host.replaceChildren(this.el);
    this.stopWatching = watchMode(() => this.#showMode());
    this.sizes = new ResizeObserver(() => this.#fit());
    this.sizes.observe(this.el);
    this.keyTarget = options.wholePage ? document : this.el;
    this.keyTarget.addEventListener("keydown", this.onKey);
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
    this.next = new Next(this.timeline);
    this.lanes = new Lanes(film, this.actions.seek);
    this.controls = new Controls(film, this.actions);
    this.controls.showSpeed(this.clock.speed);
    this.name = new RunName();
    this.transcript = new Transcript(this.timeline, this.actions.seek);
    this.help = new Help();
    const toggle = (name, label, key) => html("button", { type: "button", class: "rmw-stop", "data-action": name, onclick: this.actions[name] },
      html("span", {}, label), html("kbd", {}, key));
    this.transcriptButton = toggle("transcript", "in words", "T");
    this.darkButton = toggle("dark", "dark", "D");
    this.helpButton = toggle("help", "help", "?");
    const variant = [film.variant, film.variant_title && `(${film.variant_title})`].filter(Boolean).join(" ");
    this.el = html("div", { class: "rmapwalk rmw", tabindex: "0", role: "group", "aria-label": `Player: ${film.title}`, "data-steps": this.timeline.length, "data-playing": "false", },
    html("header", { class: "rmw-head" },
      html("div", {}, html(this.options.heading ?? "h2", {}, film.title), html("p", {}, `world ${film.world} · variant ${variant}${film.cut ? ` · ${film.cut} more steps are not in this film` : ""}`)),
      html("div", { class: "rmw-tools" }, this.transcriptButton, this.darkButton, this.helpButton)),
    this.help.el,
    html("div", { class: "rmw-columns" },
      html("div", { class: "rmw-left" }, this.threads.el, this.changed.el),
      html("section", { class: "rmw-middle", "aria-label": "Machine" }, html("div", { class: "rmw-over" }, html("h3", {}, "Machine"), this.counts.el), this.stage.el),
      this.locks.el, this.next.el),
    html("div", { class: "rmw-dock" }, this.sentence.el, this.controls.el),
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

/**
 * Show a film.
 * @param {HTMLElement} host emptied and filled
 * @param {any} film
 * @param {Options} options
 */
export function mount(host, film, options = {}) {
  try {
    return new Player(host, film, options);
  } catch (error) {
    if (!(error instanceof FilmError)) throw error;
    host.replaceChildren(html("p", { class: "rmapwalk rmw-error", role: "alert" }, `This cannot be played: ${error.message}.`));
    return null;
  }
}

/** What anywidget calls for each view of the widget; it returns how to clean up. */
function render({ model, el }) {
  const player = mount(el, model.get("film"), {
    step: model.get("step"),
    speed: model.get("speed"),
    theme: model.get("theme"),
    prediction: model.get("prediction"),
    onStep: (step) => {
      model.set("step", step);
      model.save_changes();
    },
    onPlaying: (playing) => {
      model.set("playing", playing);
      model.save_changes();
    },
  });
  if (!player) return undefined;
  if (model.get("step") === null) {
    model.set("step", player.step);
    model.save_changes();
  }
  const onStep = () => player.seek(model.get("step"), { quiet: true });
  const onPlaying = () => (model.get("playing") ? player.play() : player.pause());
  model.on("change:step", onStep);
  model.on("change:playing", onPlaying);
  return () => {
    model.off("change:step", onStep);
    model.off("change:playing", onPlaying);
    player.destroy();
  };
}

export default { render };
