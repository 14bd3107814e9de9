// "Be the scheduler" without a kernel: the film of a run goes on by one step of whoever the reader chooses.

import { MARK, Timeline } from "./film.js";
import { World } from "./world.js";

/** Runs the film's own world.  A driver says who can step, and makes the film that has one step more. */
export class Hands {
  /** @param {any} film */
  constructor(film) {
    this.world = new World(film);
    /** The states of each film, once. @type {WeakMap<any, import("./world.js").State[]>} */
    this.known = new WeakMap();
  }

  /** The states of a film, one a place. */
  statesOf(film) {
    const known = this.known.get(film) ?? this.world.statesOf(film.steps);
    this.known.set(film, known);
    return known;
  }

  /** The state at a place of a film, or null if the film has left this world. */
  stateAt(film, place) {
    return this.statesOf(film)[place] ?? null;
  }

  #ended(film, place) {
    return film.violation !== null && film.violation !== undefined && place >= film.violation.step;
  }

  /** Who can step at a place: by task the choices it has; [null] where there is nothing to choose. @returns {Map<string, (number | null)[]>} */
  choices(film, place) {
    const state = this.#ended(film, place) ? null : this.stateAt(film, place);
    const out = new Map();
    if (!state) return out;
    for (const { task } of this.world.hands.tasks) {
      const moves = this.world.moves(state, task);
      if (moves.length > 0) out.set(task, moves.map((it) => this.world.hands.moves[it].choice ?? null));
    }
    return out;
  }

  /** The film up to a place, and one step more. @returns {Promise<any>} */
  async step(film, place, task, choice = null) {
    return this.stepNow(film, place, task, choice);
  }

  stepNow(film, place, task, choice = null) {
    const { world } = this;
    const kept = film.steps.slice(0, place);
    const states = this.statesOf(film).slice(0, place + 1);
    const before = states[place];
    const move = before && !this.#ended(film, place) ? world.moveOf(before, { task, choice }) : undefined;
    if (move === undefined) throw new Error(`${task} cannot step here`);
    const state = world.after(before, move);
    const step = this.#filmStep(film, place, task, move, state);
    const steps = [...kept, step];
    const { violation = null } = world.hands.moves[move];
    const wrong = violation ? { ...violation, marks: world.told(move, state).accused ?? [] } : world.end(state) ?? null;
    if (wrong && !step.sentence.includes(wrong.sentence)) step.sentence = `${step.sentence.replace(/\.$/, "")} — ${wrong.kind}: ${wrong.sentence}.`;
    if (wrong?.kind === "deadlock") Object.assign(step.waits, upTo(world.show(state).waits));
    const longer = { ...film, steps, cut: 0, ...world.lanes(steps, [...states, state]), violation: wrong && { step: steps.length, ...wrong } };
    this.known.set(longer, [...states, state]);
    return longer;
  }

  #filmStep(film, place, task, move, state) {
    const { world } = this;
    const timeline = new Timeline({ ...film, steps: film.steps.slice(0, place) });
    timeline.seek(place);
    const { outcome, choice, violation } = world.hands.moves[move];
    const told = world.told(move, state);
    const shown = world.show(state);
    if (told.thread) shown.thread.set(task, told.thread);
    const order = film.tasks.map((it) => it.id);
    const listed = (kind) => order.filter((it) => shown[kind].has(it)).map((it) => ({ task: it, why: shown[kind].get(it) }));
    if (violation) this.#stop(shown, task);
    const next = listed("next");
    const flags = [...(told.flags ?? []).filter((it) => it !== "seen"), ...this.#flags(timeline, task, next, told)];
    const before = timeline.now.counts;
    const counts = Object.fromEntries(Object.entries(told.counts ?? {}).map(([name, number]) => [name, (before[name] ?? 0) + number]));
    const whole = (mark) => ({ ...MARK, ...mark, text: film.texts[mark.text] ?? [] });
    const step = {
      task, sentence: told.sentence ?? "", changed: told.changed ?? [], flags, next, blocked: listed("blocked"), done: order.filter((it) => shown.done.has(it)),
      marks: differences(timeline.marks, shown.mark, whole), family: differences(timeline.family, shown.kin, whole), waits: differences(timeline.waits, shown.waits),
      threads: differences(timeline.threads, shown.thread), locks: differences(timeline.locks, shown.lock),
    };
    if (Object.keys(counts).length > 0) step.counts = counts;
    if (told.walk) step.walk = told.walk;
    if (outcome) step.outcome = outcome;
    if (choice !== undefined) step.choice = choice;
    return step;
  }

  /** A violation ends the run: who could have gone on is not seen again. */
  #stop(shown, task) {
    for (const id of shown.next.keys()) {
      if (id !== task) shown.thread.set(id, { ...shown.thread.get(id), ...this.world.hands.stopped });
    }
    shown.next.clear();
    shown.blocked.delete(task);
  }

  /** What kind of step it is in this run: does it interrupt somebody, and is it one to stop at? */
  #flags(timeline, task, next, told) {
    const last = timeline.step.task;
    const could = timeline.now.next.map((it) => it.task);
    const flags = last !== null && last !== task && could.includes(last) ? ["preempt"] : [];
    const others = timeline.place === 0 || could.join() !== next.map((it) => it.task).join();
    if (next.length > 1 && (others || (told.flags ?? []).includes("seen"))) flags.push("decision");
    return flags;
  }
}

/** In a deadlock what a task waits for and nobody holds is up to all others that wait. @param {Map<string, string[][]>} waits */
export function upTo(waits) {
  const stuck = [...waits.keys()].filter((id) => id.startsWith("task:"));
  const out = {};
  for (const source of stuck) {
    for (const [target] of waits.get(source)) if (target.startsWith("field:")) out[target] = stuck.filter((it) => it !== source).map((it) => [it, "which is up to"]);
  }
  return out;
}

/** What turns one map into another, whole values. */
function differences(old, now, read = (it) => it) {
  const out = {};
  for (const [id, value] of now) {
    const after = read(value);
    if (JSON.stringify(old.get(id)) !== JSON.stringify(after)) out[id] = after;
  }
  for (const id of old.keys()) if (!now.has(id)) out[id] = null;
  return out;
}

/** How often a run leaves a task that could have gone on. */
export function preemptions(film) {
  return film.steps.filter((step) => (step.flags ?? []).includes("preempt")).length;
}
