// Lecture mode: the whole screen, large type, the keys of a presenter, and a question before each step if wished.

import { setAttribute } from "./dom.js";

const USUAL = 1366; // the width, in pixels, at which nothing need be larger

export class Lecture {
  /** @param {any} player */
  constructor(player) {
    this.player = player;
    this.on = false;
    this.asks = false;
    /** Whether the question is on show and the answer is not. */
    this.asked = false;
    document.addEventListener("fullscreenchange", this.#left);
  }

  destroy() {
    document.removeEventListener("fullscreenchange", this.#left);
  }

  /** Begin or end it.  Where a page may not take the whole screen (a frame), it takes what it has. */
  toggle(on = !this.on) {
    const { el } = this.player;
    this.on = on;
    setAttribute(el, "data-lecture", on);
    setAttribute(this.player.lectureButton, "aria-pressed", String(on));
    const zoom = Math.max(1, Math.min(2, Math.round((window.innerWidth / USUAL) * 20) / 20));
    el.style.zoom = on ? String(zoom) : "";
    el.style.setProperty("--zoom", String(zoom)); // a share of the window's height is enlarged, too
    if (on) el.requestFullscreen?.().catch(() => {});
    else if (document.fullscreenElement === el) document.exitFullscreen();
    this.player.fit();
  }

  #left = () => {
    if (this.on && !document.fullscreenElement) this.toggle(false);
  };

  /** Ask before each step, or do not. */
  hide() {
    this.asks = !this.asks;
    this.asked = false;
    setAttribute(this.player.el, "data-hides", this.asks);
    this.player.notice.show(this.asks ? "From now on a question comes before each step; H ends that." : "", false);
  }

  /** One step on; if answers are hidden, first the question. */
  forward() {
    const { player } = this;
    const step = player.timeline.steps[player.step + 1];
    if (!this.asks || this.asked || !step) {
      if (this.asked) player.notice.show(""); // what H does has been read by now; the audience need not have it before them
      this.asked = false;
      player.by(1);
      return;
    }
    this.asked = true;
    player.pause();
    player.sentence.ask(`${step.task} goes next. What will it do, and what will change?`, step.task);
  }
}
