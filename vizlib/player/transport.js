// What plays: a place in a timeline, a clock that moves it, keys that move it, and frames in which things move.
// What is shown there is said by who extends it.

import { surroundingMode, wantsStillness, watchMode } from "./appearance.js";
import { Clock, SPEEDS } from "./clock.js";
import { setAttribute, setText } from "./dom.js";
import { findStop, Timeline } from "./film.js";
import { actionOf, isLetter } from "./keyboard.js";
import { Lecture } from "./lecture.js";

/** @typedef {import("./view.js").Options} Options */

export class Transport {
  /** @param {any} film @param {Options} options */
  constructor(film, options) {
    this.film = film;
    this.options = options;
    this.timeline = new Timeline(film);
    this.clock = new Clock();
    this.clock.speed = SPEEDS.includes(options.speed ?? 1) ? options.speed ?? 1 : 1;
    /** @type {"light" | "dark" | null} */
    this.mode = options.theme === "light" || options.theme === "dark" ? options.theme : null;
    this.asked = 0;
    /** What "next change" looks for. */
    this.focus = { ids: film.focus ?? [], label: film.focus_label || "the page" };
    /** @type {import("./stage.js").Stage[]} */
    this.stages = [];
    this.lecture = new Lecture(this);
    /** Everything that a key or a button can do. @type {Record<string, any>} */
    this.actions = {
      toggle: () => (this.playing ? this.pause() : this.play()),
      forward: () => this.by(1),
      back: () => this.by(-1),
      first: () => this.to(0),
      last: () => this.to(this.timeline.length),
      decision: () => this.stop("decision"),
      decisionBack: () => this.stop("decision", true),
      lock: () => this.stop("lock"),
      change: () => this.stop("change"),
      preempt: () => this.stop("preempt"),
      faster: () => this.#faster(1),
      slower: () => this.#faster(-1),
      dark: () => this.#dark(),
      lecture: () => this.lecture.toggle(),
      present: () => this.lecture.forward(),
      presentBack: () => this.by(-1),
      stop: (kind) => this.stop(kind),
      seek: (step) => this.to(step),
      speed: (value) => this.#speed(value),
    };
  }

  /** Let the headings follow the page's own: below an h1 the sections are of level 2. */
  levelHeadings() {
    if (this.options.heading !== "h1") return;
    for (const it of this.el.querySelectorAll("h3, h4")) setAttribute(it, "aria-level", it.tagName === "H3" ? 2 : 3);
  }

  /** Begin in a host, when everything that is shown has been made. @param {HTMLElement} host @param {number} place */
  begin(host, place) {
    host.replaceChildren(this.el);
    this.levelHeadings();
    this.stopWatching = watchMode(() => this.#showMode());
    this.sizes = new ResizeObserver(() => this.fit());
    this.sizes.observe(this.el);
    this.keyTarget = this.options.wholePage ? document : this.el;
    this.keyTarget.addEventListener("keydown", this.onKey);
    try {
      this.#showMode();
      this.fit();
      this.timeline.seek(place);
      this.show(0);
    } catch (error) {
      this.destroy();
      throw error;
    }
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
    if (moved) this.show(Math.abs(this.timeline.place - from) === 1 && !wantsStillness() ? this.clock.motion : 0);
    if (moved && !quiet && !this.playing) this.options.onStep?.(this.step);
  }

  play() {
    if (this.playing) return;
    if (this.step >= this.timeline.length) this.seek(0);
    this.clock.playing = true;
    this.clock.reset();
    this.showPlaying();
    this.ask();
  }

  pause() {
    if (!this.playing) return;
    this.clock.playing = false;
    this.showPlaying();
    this.options.onStep?.(this.step);
  }

  destroy() {
    cancelAnimationFrame(this.asked);
    this.lecture.destroy();
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
    if (!name || !this.actions[name]) return;
    if (name.startsWith("present") && !this.lecture.on) return; // the page scrolls
    event.preventDefault();
    this.actions[name]();
  };

  by(steps) {
    this.pause();
    this.seek(this.step + steps);
  }

  to(step) {
    this.pause();
    this.seek(step);
  }

  stop(kind, back = false) {
    this.to(findStop(this.timeline, kind, { back, ids: this.focus.ids }));
  }

  /** Open a part where it can be seen, or close it, and say so on its button. */
  toggle(part, button) {
    const open = part.toggle();
    setAttribute(button, "aria-expanded", String(open));
    const { top } = part.el.getBoundingClientRect();
    if (open && (top < 0 || top > innerHeight - 120)) part.el.scrollIntoView();
  }

  /** Show the place. @param {number} duration of the motion, 0 for none */
  show(duration) {
    throw new Error(`nothing shows place ${this.step} within ${duration} ms`);
  }

  /** The size has changed. */
  fit() {}

  /** It has begun to play, or stopped. */
  showPlaying() {
    this.controls.showPlaying(this.playing);
    setAttribute(this.el, "data-playing", String(this.playing));
    this.options.onPlaying?.(this.playing);
  }

  showMoving() {
    setAttribute(this.el, "data-moving", String(this.#moving));
  }

  /** Ask for a frame, unless one is under way or there is nothing to do in it. */
  ask() {
    if (this.asked || (!this.playing && !this.#moving)) return;
    this.asked = requestAnimationFrame((now) => this.#frame(now));
  }

  get #moving() {
    return this.stages.some((stage) => stage.moving.size > 0);
  }

  #frame(now) {
    this.asked = 0;
    const { elapsed, steps } = this.clock.frame(now);
    for (const stage of this.stages) stage.tick(elapsed);
    if (steps > 0) this.seek(this.step + steps);
    if (this.playing && this.step >= this.timeline.length) this.pause();
    this.showMoving();
    this.ask();
    if (!this.asked) this.clock.last = null;
  }

  #speed(speed) {
    this.clock.speed = speed;
    this.controls.showSpeed(speed);
  }

  #faster(by) {
    this.#speed(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, SPEEDS.indexOf(this.clock.speed) + by))]);
  }

  #dark() {
    this.mode = this.el.dataset.theme === "dark" ? "light" : "dark";
    this.#showMode();
  }

  #showMode() {
    const mode = this.mode ?? surroundingMode();
    setAttribute(this.el, "data-theme", mode);
    setText(this.darkButton.firstChild, mode === "dark" ? "light" : "dark");
  }
}
