// The reader as the scheduler: whoever is clicked makes a step; leaving a run begins a new branch of it.

import { Tree } from "./branches.js";

const MOST = 400; // steps that one "run on" makes at most

/**
 * @typedef {{choices: (film: any, place: number) => Map<string, (number | null)[]>,
 *            step: (film: any, place: number, task: string, choice?: number | null) => Promise<any>,
 *            stateAt?: (film: any, place: number) => number[] | null}} Driver
 *   `choices`: who can step there, and between what each has to choose; `step`: the film with that step at its end
 */

export class Scheduler {
  /** @param {Driver} driver @param {any} film */
  constructor(driver, film) {
    this.driver = driver;
    this.tree = new Tree(film);
    this.busy = false;
  }

  /** Who can step at a place of the run on show, with their choices. */
  choices(place) {
    return this.driver.choices(this.tree.now.film, place);
  }

  /** The state there, if the driver knows one. */
  stateAt(place) {
    return this.driver.stateAt?.(this.tree.now.film, place) ?? null;
  }

  /**
   * Let a task make a step at a place.  If the run does that there anyway, it is followed; if not, a branch begins.
   * @returns {Promise<any>} the film to show
   */
  async step(place, task, choice = null) {
    const { film } = this.tree.now;
    const next = film.steps[place];
    if (next && next.task === task && (next.choice ?? null) === choice) return film;
    return this.#keep(await this.driver.step(film, place, task, choice), place);
  }

  /** Let a task go on until others can see what it did, or it cannot. @returns {Promise<{film: any, place: number}>} */
  async runOn(place, task) {
    let at = place;
    let film = await this.step(at, task, this.#only(at, task));
    for (at += 1; at - place < MOST; at += 1) {
      const told = film.steps[at - 1];
      const choices = this.choices(at).get(task);
      if (choices === undefined || choices.length > 1 || (told.flags ?? []).some((it) => ["decision", "bug"].includes(it))) break;
      film = await this.step(at, task, choices[0]);
    }
    return { film, place: at };
  }

  #only(place, task) {
    return this.choices(place).get(task)?.[0] ?? null;
  }

  #keep(film, place) {
    const { tree } = this;
    if (tree.grows && place === tree.now.film.steps.length) tree.now.film = film;
    else tree.fork(film, place);
    return film;
  }
}
