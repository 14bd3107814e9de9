// The undo tree: every run that was tried is kept, with its name, where it left which other, and how it ended.

import { html, setAttribute, setText } from "./dom.js";

/**
 * @typedef {{id: number, name: string, film: any, parent: number | null, at: number}} Branch
 *   `at`: the last place that it shares with its parent
 */

/** The runs of one sitting. */
export class Tree {
  /** @param {any} film the run one begins with */
  constructor(film) {
    /** @type {Branch[]} */
    this.branches = [{ id: 0, name: film.steps.length > 0 ? "the run" : "the start", film, parent: null, at: 0 }];
    this.current = 0;
  }

  /** The run on show. */
  get now() {
    return this.branches[this.current];
  }

  /** Whether the run on show may go on at its end: the one that one begins with stays as it is. */
  get grows() {
    return this.now.parent !== null;
  }

  /** A new run that leaves the one on show at a place. */
  fork(film, at) {
    const id = this.branches.length;
    this.branches.push({ id, name: `try ${id}`, film, parent: this.current, at });
    this.current = id;
  }

  /** The branches as a tree reads: each below its parent, with its depth. @returns {[Branch, number][]} */
  listed() {
    const below = (parent, depth) => this.branches.filter((it) => it.parent === parent).flatMap((it) => [[it, depth], ...below(it.id, depth + 1)]);
    return /** @type {any} */ (below(null, 0));
  }
}

/** How a run ended, in a word or two. @param {any} film */
export function outcome(film) {
  if (film.violation) return film.violation.kind;
  const done = film.steps.findLast((step) => step.done)?.done ?? film.start?.done ?? [];
  return film.tasks.filter((task) => task.kind === "thread").every((task) => done.includes(task.id)) ? "finished" : "open";
}

export class Branches {
  /** @param {Tree} tree @param {(id: number) => void} onChoose @param {() => void} onRename */
  constructor(tree, onChoose, onRename) {
    this.tree = tree;
    this.onChoose = onChoose;
    this.onRename = onRename;
    this.list = html("ol", {});
    this.hint = html("p", { class: "rmw-none" }, "Click a task under “could run next”, or press its number, and the run branches off here. What you leave is kept.");
    this.el = html("section", { class: "rmw-branches", "aria-label": "Runs tried", hidden: true }, html("h3", {}, "Runs tried"), this.list, this.hint);
  }

  get open() {
    return !this.el.hidden;
  }

  toggle(open = !this.open) {
    this.el.hidden = !open;
    return open;
  }

  show() {
    this.hint.hidden = this.tree.branches.length > 1;
    this.list.replaceChildren(...this.tree.listed().map(([branch, depth]) => this.#row(branch, depth)));
  }

  #row(branch, depth) {
    const now = branch.id === this.tree.current;
    const parent = branch.parent === null ? null : this.tree.branches[branch.parent];
    const steps = branch.film.steps.length;
    const word = outcome(branch.film);
    const name = html("input", { type: "text", value: branch.name, maxlength: 60, "aria-label": `Name of ${branch.name}` });
    name.addEventListener("change", () => {
      branch.name = name.value.trim() || branch.name;
      name.value = branch.name;
      this.onRename();
    });
    const go = html("button", { type: "button", class: "rmw-stop", "aria-pressed": String(now), "aria-label": `${now ? "shown" : "show"}: ${branch.name}`, onclick: () => this.onChoose(branch.id) }, now ? "shown" : "show");
    const row = html("li", { style: `--depth: ${depth}`, "data-branch": branch.id }, go, name,
      html("small", {}, `${steps} step${steps === 1 ? "" : "s"}${parent ? `, left “${parent.name}” after step ${branch.at}` : ""}`), html("b", {}, word));
    setAttribute(row, "aria-current", now ? "true" : null);
    setAttribute(row, "data-ends", word === "open" || word === "finished" ? word : "bug");
    return row;
  }
}

/** A line that says what went wrong, or nothing. */
export class Notice {
  constructor() {
    this.el = html("p", { class: "rmw-notice", role: "status", hidden: true });
  }

  /** @param {string} text @param {boolean} bad whether something could not be done */
  show(text, bad = true) {
    setAttribute(this.el, "data-bad", bad);
    setText(this.el, text);
    this.el.hidden = !text;
  }
}
