// The reader as the scheduler with a kernel behind: Python makes the step and sends the film that has it.

import { Timeline } from "./film.js";
import { scheduleOf } from "./runname.js";

const PATIENCE = 10_000; // milliseconds; a kernel that is busy or gone does not answer

export class Kernel {
  /** @param {any} model anywidget's */
  constructor(model) {
    this.model = model;
    this.asked = 0;
    /** @type {Map<number, {resolve: (film: any) => void, reject: (error: Error) => void}>} */
    this.open = new Map();
    this.onMessage = ({ id, film, error }) => {
      const waiting = this.open.get(id);
      this.open.delete(id);
      if (error) waiting?.reject(new Error(error));
      else waiting?.resolve(film);
    };
    model.on("msg:custom", this.onMessage);
  }

  /** Who can step at a place: that stands in the film. */
  choices(film, place) {
    const out = new Map();
    if (film.cut && place >= film.steps.length) return out;
    const options = film.choices?.[place] ?? {};
    for (const { task } of new Timeline(film).standing[place]?.next ?? []) out.set(task, options[task] ? [...Array(options[task]).keys()] : [null]);
    return out;
  }

  step(film, place, task, choice = null) {
    this.asked += 1;
    const id = this.asked;
    const answer = new Promise((resolve, reject) => {
      this.open.set(id, { resolve, reject });
      setTimeout(() => this.onMessage({ id, error: "the kernel does not answer; is it running, and idle?" }), PATIENCE);
    });
    this.model.send({ kind: "step", id, schedule: scheduleOf(new Timeline(film), place), task, choice });
    return answer;
  }

  destroy() {
    this.model.off("msg:custom", this.onMessage);
  }
}
