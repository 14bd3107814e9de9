// The controls: play, step, scrub, speed, the next stopping place, and the run's name to take away.

import { SPEEDS } from "./clock.js";
import { html, setAttribute, setText, svg } from "./dom.js";

const ICONS = {
  first: "M3 3v12M15 3L6 9l9 6Z", back: "M12 3L4 9l8 6Z", play: "M5 2.5l10 6.5-10 6.5Z", pause: "M5 3v12M13 3v12",
  forward: "M6 3l8 6-8 6Z", last: "M15 3v12M3 3l9 6-9 6Z",
};

const STOPS = [["decision", "decision", "N"], ["lock", "lock event", "L"], ["change", "change", "C"], ["preempt", "preemption", "P"]];

/** @typedef {{toggle: () => void, forward: () => void, back: () => void, first: () => void, last: () => void,
 *             stop: (kind: string) => void, seek: (place: number) => void, speed: (value: number) => void}} Actions */

export class Controls {
  /** @param {any} film @param {Actions} actions @param {string[][]} stops kind, label and key of each button that goes on to the next of something */
  constructor(film, actions, stops = STOPS) {
    this.steps = film.steps.length;
    const button = (name, label, key) => html("button", { type: "button", class: "rmw-button", "data-action": name, title: `${label} (${key})`, "aria-label": label,
      onclick: actions[name] }, icon(name));
    this.play = html("button", { type: "button", class: "rmw-button rmw-play", "data-action": "toggle", onclick: actions.toggle });
    this.slider = html("input", { type: "range", class: "rmw-slider", min: 0, max: this.steps, step: 1, "aria-label": "Step",
      oninput: () => actions.seek(Number(this.slider.value)) });
    this.count = html("span", { class: "rmw-count" });
    this.speed = html("select", { class: "rmw-speed", "aria-label": "Speed", title: "speed (+ and -)", onchange: () => actions.speed(Number(this.speed.value)) },
      ...SPEEDS.map((it) => html("option", { value: it }, `${it}×`)));
    this.buttons = html("div", { class: "rmw-buttons", role: "group", "aria-label": "Playing" }, button("first", "first", "Home"),
      button("back", "one step back", "←"), this.play, button("forward", "one step forward", "→"), button("last", "last", "End"));
    this.stops = new Map();
    const stop = (kind, label, key) => {
      const el = html("button", { type: "button", class: "rmw-stop", "data-stop": kind, onclick: () => actions.stop(kind) }, html("span", {}, label), html("kbd", {}, key));
      this.stops.set(kind, el);
      return el;
    };
    this.nexts = html("div", { class: "rmw-stops", role: "group", "aria-label": "Go on to the next" }, html("span", { "aria-hidden": "true" }, "next"),
      ...stops.map((it) => stop(...it)));
    this.el = html("div", { class: "rmw-controls" }, this.buttons, html("div", { class: "rmw-scrub" }, this.slider, this.count), this.speed, this.nexts);
    this.showPlaying(false);
  }

  /** Another film, longer or shorter. */
  setFilm(film) {
    this.steps = film.steps.length;
    this.slider.max = String(this.steps);
  }

  /** @param {number} place @param {string} focus what "next change" looks for, in words */
  show(place, focus, words = `step ${place} of ${this.steps}`) {
    if (Number(this.slider.value) !== place) this.slider.value = String(place);
    setAttribute(this.slider, "aria-valuetext", words);
    this.slider.style.setProperty("--done", `${this.steps ? (100 * place) / this.steps : 0}%`);
    setText(this.count, words);
    if (this.stops.has("change")) setText(this.stops.get("change").firstChild, `change of ${focus}`);
    for (const name of ["first", "back"]) this.#enable(name, place > 0);
    for (const name of ["forward", "last"]) this.#enable(name, place < this.steps);
    for (const el of this.stops.values()) setAttribute(el, "aria-disabled", place >= this.steps ? "true" : null);
  }

  showPlaying(playing) {
    setAttribute(this.play, "aria-label", playing ? "pause" : "play");
    setAttribute(this.play, "title", `${playing ? "pause" : "play"} (space)`);
    this.play.replaceChildren(icon(playing ? "pause" : "play"));
  }

  showSpeed(speed) {
    this.speed.value = String(speed);
  }

  /** A disabled button would lose the focus, and the keys with it; so it only says that it is. */
  #enable(name, enabled) {
    setAttribute(this.buttons.querySelector(`[data-action=${name}]`), "aria-disabled", enabled ? null : "true");
  }
}

function icon(name) {
  return svg("svg", { viewBox: "0 0 18 18", width: 18, height: 18, "aria-hidden": "true" }, svg("path", { d: ICONS[name], "data-open": name === "pause" ? "true" : null }));
}

/** The run's name at this step, and a button that copies it. */
export class RunName {
  constructor() {
    this.name = html("code", { class: "rmw-mono", tabindex: "0" });
    this.button = html("button", { type: "button", class: "rmw-stop", "data-action": "copy", onclick: () => this.#copy() }, "copy");
    this.el = html("div", { class: "rmw-runname", title: "This run up to this step: type it into the stepper, or mail it." }, html("span", {}, "run "), this.name, this.button);
  }

  show(name) {
    if (this.name.textContent === name) return;
    this.name.textContent = name;
    setText(this.button, "copy");
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.name.textContent);
    } catch {
      // No clipboard in a sandbox or without https: an old way, and if that fails too the name stays selected.
      getSelection()?.selectAllChildren(this.name);
      document.execCommand("copy");
    }
    setText(this.button, "copied");
  }
}
