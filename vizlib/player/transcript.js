// The whole run in words.  A lesson can be followed from here alone.

import { html, setAttribute, setText } from "./dom.js";
import { machinePanels } from "./flow.js";

/**
 * What one place in the film says, as lines: the sentence, what changed, who could run and who cannot.
 * @param {import("./film.js").Timeline} timeline
 * @param {number} place
 */
export function linesOf(timeline, place) {
  const step = timeline.steps[place];
  const { next, blocked, done } = timeline.standing[place];
  const lines = [step.sentence];
  if (step.changed.length > 0) {
    lines.push(`Changed: ${step.changed.map((it) => `${it.what}: ${it.from} becomes ${it.to}`).join("; ")}.`);
  }
  if (next.length > 0) lines.push(`Could run next: ${next.map((it) => `${it.task} (${it.why})`).join(", ")}.`);
  const cannot = [...blocked.map((it) => `${it.task} (${it.why})`), ...done.map((task) => `${task} (has finished)`)];
  if (cannot.length > 0) lines.push(`Cannot run: ${cannot.join(", ")}.`);
  const { violation } = timeline.film;
  if (violation && violation.step === place && !step.sentence.includes(violation.sentence)) lines.push(`Violation: ${violation.sentence}`);
  return lines;
}

/**
 * What the picture shows, in words: for each panel its title and what its marks say.
 * @param {import("./film.js").Timeline} timeline
 * @returns {[string, string[]][]}
 */
export function machineInWords(timeline) {
  const out = machinePanels(timeline.film).map((panel) => {
    const says = [...timeline.marks.values()].filter((mark) => mark.panel === panel.id && mark.say).map((mark) => mark.say);
    return /** @type {[string, string[]]} */ ([panel.title, says]);
  });
  return out.filter(([, says]) => says.length > 0);
}

const KINDS = [["", "all steps"], ["changed", "steps that change something"], ["lock", "lock events"], ["decision", "decisions"], ["preempt", "preemptions"]];

export class Transcript {
  /** @param {import("./film.js").Timeline} timeline @param {(place: number) => void} onSeek */
  constructor(timeline, onSeek) {
    this.timeline = timeline;
    this.onSeek = onSeek;
    this.list = html("ol", { start: 0 });
    this.words = html("input", { type: "search", class: "rmw-find", placeholder: "words to look for", "aria-label": "Look for", oninput: () => this.#filter() });
    this.words.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#next();
      if (event.key === "Escape") this.#clear();
      event.stopPropagation();
    });
    this.kind = html("select", { class: "rmw-kind", "aria-label": "Which steps", onchange: () => this.#filter() }, ...KINDS.map(([value, label]) => html("option", { value }, label)),
      ...timeline.film.tasks.map(({ id }) => html("option", { value: `task ${id}` }, `steps of ${id}`)));
    this.found = html("span", { class: "rmw-none", role: "status" });
    this.title = html("h3");
    this.machine = html("dl", { class: "rmw-inwords" });
    this.el = html("section", { class: "rmw-transcript", "aria-label": "The run in words", hidden: true }, html("h3", {}, "The run in words"),
      html("div", { class: "rmw-search", role: "search" }, this.words, this.kind, this.found), this.list,
      this.title, this.machine);
    /** @type {any[]} */
    this.items = [];
  }

  get open() {
    return !this.el.hidden;
  }

  toggle(open = !this.open) {
    this.el.hidden = !open;
    if (open) this.show(this.timeline.place);
    return open;
  }

  /** @param {number} place */
  show(place) {
    if (!this.open) return;
    if (this.items.length === 0) this.#write();
    if (this.current) setAttribute(this.current, "aria-current", null);
    setText(this.title, `The machine after step ${place}`);
    this.machine.replaceChildren(...machineInWords(this.timeline).map(([title, says]) => html("div", {}, html("dt", {}, title), html("dd", {}, `${says.join("; ")}.`))));
    this.current = this.items[place];
    setAttribute(this.current, "aria-current", "step");
    const { offsetTop, offsetHeight } = this.current;
    const { scrollTop, clientHeight } = this.list;
    if (offsetTop < scrollTop || offsetTop + offsetHeight > scrollTop + clientHeight) this.list.scrollTop = offsetTop - clientHeight / 3;
  }

  /** Open it, ready for words to look for. */
  find() {
    this.toggle(true);
    this.words.focus();
  }

  /** Whether a place is one of those looked for. */
  #wanted(place) {
    const step = this.timeline.steps[place];
    const kind = this.kind.value;
    const words = this.words.value.trim().toLowerCase();
    if (kind.startsWith("task ") ? step.task !== kind.slice(5) : kind && !(kind === "changed" ? step.changed.length > 0 : step.flags.includes(kind))) return false;
    return linesOf(this.timeline, place).slice(0, 2).join(" ").toLowerCase().includes(words);
  }

  #filter() {
    let count = 0;
    this.items.forEach((item, place) => {
      item.hidden = !this.#wanted(place);
      if (!item.hidden) count += 1;
    });
    setText(this.found, this.words.value || this.kind.value ? `${count} of ${this.items.length} steps; enter goes to the next` : "");
  }

  /** Go to the next of those that are shown; after the last comes the first. */
  #next() {
    const wanted = this.items.flatMap((item, place) => (item.hidden ? [] : [place]));
    const next = wanted.find((place) => place > this.timeline.place) ?? wanted[0];
    if (next !== undefined) this.onSeek(next);
  }

  #clear() {
    this.words.value = "";
    this.kind.value = "";
    this.#filter();
  }

  #write() {
    const colours = new Map(this.timeline.film.tasks.map((task) => [task.id, task.colour]));
    this.items = this.timeline.steps.map((step, place) => {
      const [sentence, ...more] = linesOf(this.timeline, place);
      return html("li", { "data-place": place, style: `--task: var(--rw-${colours.get(step.task) ?? "muted"})` },
        html("button", { type: "button", onclick: () => this.onSeek(place) }, `${place}`), html("p", {}, sentence, ...more.map((line) => html("small", {}, line))));
    });
    this.list.replaceChildren(...this.items);
  }
}
