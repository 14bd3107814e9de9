// A film and where we are in it: seeking, stopping places, the run's name.  Knows no screen.

/**
 * @typedef {{s: string, x: number, y: number, size?: number, weight?: number, style?: string, anchor?: string,
 *            ink?: string, mono?: boolean}} Line
 * @typedef {{panel: string, shape: string, x: number, y: number, w: number, h: number, points: number[][],
 *            text: Line[], fill: string, stroke: string, dashed: boolean, dotted: boolean, bold: boolean, tip: string,
 *            say: string, layer: number, radius: number, face: string, ends: string[]}} Mark
 * @typedef {{state: string, status: string, stack: number[][], user?: string}} Thread
 * @typedef {{task: string, mode: string}} Hold
 * @typedef {{title: string, kind: string, rank: number, holders: Hold[], waiters: Hold[], note?: string}} Lock
 * @typedef {{what: string, from: string, to: string, mark?: string}} Change
 * @typedef {{task: string | null, sentence: string, changed: Change[], flags: string[], outcome: string,
 *            choice: number | null}} Step
 * @typedef {{next: {task: string, why: string}[], blocked: {task: string, why: string}[], done: string[],
 *            counts: Record<string, number>}} Standing what holds until a step says otherwise
 * @typedef {{map: Map<string, any>, id: string, before: any, after: any}} Patch one thing's value, both ways
 */

/** A mark with nothing said about it. */
export const MARK = {
  panel: "machine", shape: "rect", x: 0, y: 0, w: 0, h: 0, points: [], text: [], fill: "none", stroke: "none",
  dashed: false, dotted: false, bold: false, tip: "", say: "", layer: 0, radius: 8, face: "", ends: [],
};
const THREAD = { state: "idle", status: "", stack: [] };
const LOCK = { title: "", kind: "", rank: 0, holders: [], waiters: [] };

/** A film that cannot be played says why. */
export class FilmError extends Error {}
export const DAMAGED = "its data is damaged; make the file again";

/** What *error* says of a film: in its own words, or that the film is not what a film is. @param {Error} error */
export function filmError(error) {
  return error instanceof FilmError ? error : new FilmError(`${DAMAGED} (${error.message})`);
}

/**
 * The film, and the state at one place in it.
 *
 * Place 0 is the state after set-up, place n the state after step n.  Every change is worked out once, here, as a value
 * before and a value after; seeking sets values in maps and is done within a frame for thousands of steps.
 */
export class Timeline {
  /** @param {any} film */
  constructor(film) {
    if (film?.format !== "rmapwalk-film") throw new FilmError("this is no rmapwalk film");
    if (film.version !== 1) throw new FilmError(`this film has version ${film.version}; this player plays version 1`);
    this.film = film;
    this.place = 0;
    /** @type {Map<string, Mark>} */
    this.marks = new Map();
    /** @type {Map<string, Thread>} */
    this.threads = new Map();
    /** @type {Map<string, Lock>} */
    this.locks = new Map();
    /** The family of anon_vmas, in its own plane. @type {Map<string, Mark>} */
    this.family = new Map();
    /** By task or lock what it waits for or who holds it, and in which words. @type {Map<string, string[][]>} */
    this.waits = new Map();
    this.length = film.steps.length;
    this.#begin();
    /** @type {Patch[][]} */
    this.patches = film.steps.map((step) => this.#patches(step));
    /** @type {Step[]} */
    this.steps = [film.start ?? {}, ...film.steps].map((step) => ({
      task: step.task ?? null, sentence: step.sentence ?? "", changed: step.changed ?? [], flags: step.flags ?? [],
      outcome: step.outcome ?? "done", choice: step.choice ?? null,
    }));
    /** @type {Standing[]} */
    this.standing = standings(film);
    this.seek(0);
  }

  /** What the step that led here was. */
  get step() {
    return this.steps[this.place];
  }

  /** Who can run, who cannot, and the counts. */
  get now() {
    return this.standing[this.place];
  }

  /** Go to a place; anything outside the film is its nearest end. */
  seek(place) {
    const target = Math.max(0, Math.min(this.length, Math.round(place) || 0));
    while (this.place < target) {
      for (const { map, id, after } of this.patches[this.place]) put(map, id, after);
      this.place += 1;
    }
    while (this.place > target) {
      this.place -= 1;
      const patches = this.patches[this.place];
      for (let i = patches.length - 1; i >= 0; i -= 1) put(patches[i].map, patches[i].id, patches[i].before);
    }
    return this.place;
  }

  #begin() {
    const { film } = this;
    for (const [id, mark] of Object.entries(film.first ?? {})) this.marks.set(id, { ...MARK, ...this.#lines(mark) });
    for (const [id, mark] of Object.entries(film.family?.first ?? {})) this.family.set(id, { ...MARK, ...this.#lines(mark) });
    for (const [id, edges] of Object.entries(film.start?.waits ?? {})) this.waits.set(id, edges);
    for (const [id, thread] of Object.entries(film.start?.threads ?? {})) this.threads.set(id, { ...THREAD, ...this.#standing(thread) });
    for (const [id, lock] of Object.entries(film.start?.locks ?? {})) this.locks.set(id, { ...LOCK, ...lock });
  }

  /** Work out one step's patches, and leave the state behind it. @returns {Patch[]} */
  #patches(step) {
    for (const list of [step.changed, step.flags, step.done]) if (!Array.isArray(list ?? [])) throw new FilmError(DAMAGED);
    const out = [];
    const one = (map, defaults, differences, read) => {
      for (const [id, difference] of Object.entries(differences ?? {})) {
        const before = map.get(id);
        const after = difference === null ? undefined : { ...(before ?? defaults), ...read(difference) };
        out.push({ map, id, before, after });
        put(map, id, after);
      }
    };
    one(this.marks, MARK, step.marks, (mark) => this.#lines(mark));
    one(this.family, MARK, step.family, (mark) => this.#lines(mark));
    for (const [id, edges] of Object.entries(step.waits ?? {})) {
      const after = edges ?? undefined;
      out.push({ map: this.waits, id, before: this.waits.get(id), after });
      put(this.waits, id, after);
    }
    one(this.threads, THREAD, step.threads, (thread) => this.#standing(thread));
    one(this.locks, LOCK, step.locks, (lock) => lock);
    this.place += 1;
    return out;
  }

  /** Texts are kept once and named by number. */
  #lines(mark) {
    if (typeof mark.text !== "number") return mark;
    const text = this.film.texts[mark.text];
    if (!Array.isArray(text)) throw new FilmError(DAMAGED);
    return { ...mark, text };
  }

  /** Sources, too; they are looked at when the step is shown. */
  #standing(thread) {
    if (thread.stack?.some(([source]) => !this.film.sources[source]?.function)) throw new FilmError(DAMAGED);
    return thread;
  }
}

function put(map, id, value) {
  if (value === undefined) map.delete(id);
  else map.set(id, value);
}

/** What holds at every place; equal stretches share one object. @returns {Standing[]} */
function standings(film) {
  const start = film.start ?? {};
  const order = film.tasks.map((task) => task.id);
  let now = { next: start.next ?? [], blocked: start.blocked ?? [], done: start.done ?? [], counts: start.counts ?? {} };
  const out = [now];
  for (const step of film.steps) {
    if (step.next || step.blocked || step.done || step.counts) {
      now = {
        next: merged(now.next, step.next, order), blocked: merged(now.blocked, step.blocked, order),
        done: step.done ?? now.done, counts: step.counts ? { ...now.counts, ...step.counts } : now.counts,
      };
    }
    out.push(now);
  }
  return out;
}

/** A list of tasks with their whys after a difference: a whole new list, or what changed by task (null: it has left). */
function merged(old, difference, order) {
  if (!difference) return old;
  if (Array.isArray(difference)) return difference;
  const whys = new Map(old.map(({ task, why }) => [task, why]));
  for (const [task, why] of Object.entries(difference)) whys.set(task, why);
  return order.filter((task) => whys.get(task) != null).map((task) => ({ task, why: whys.get(task) }));
}

/** The kinds of stopping places, in the order of their buttons. */
export const STOPS = ["decision", "lock", "change", "preempt"];

/**
 * The nearest place of a kind, or the film's end if there is none.
 * @param {Timeline} timeline
 * @param {string} kind one of STOPS, or another flag of a step
 * @param {{from?: number, back?: boolean, ids?: string[]}} options `ids`: what "change" looks for
 */
export function findStop(timeline, kind, { from = timeline.place, back = false, ids = timeline.film.focus ?? [] } = {}) {
  const wanted = (place) => {
    const step = timeline.steps[place];
    if (kind !== "change") return step.flags.includes(kind);
    if (step.changed.some((change) => ids.includes(change.mark))) return true;
    return place > 0 && timeline.patches[place - 1].some((patch) => ids.includes(patch.id) && becomesAnother(patch));
  };
  const by = back ? -1 : 1;
  for (let place = from + by; place >= 0 && place <= timeline.length; place += by) if (wanted(place)) return place;
  return back ? 0 : timeline.length;
}

/** Whether a mark is more than lit up: it comes, goes, travels or shows another face. @param {Patch} patch */
function becomesAnother({ before, after }) {
  return !before || !after || ["panel", "x", "y", "face"].some((key) => before[key] !== after[key]);
}

/** Where a film opens: where its maker wants it to, or else at the first place where somebody has a choice. */
export function openingPlace(timeline) {
  if (timeline.film.open_at !== undefined) return timeline.film.open_at;
  if (timeline.steps[0].flags.includes("decision")) return 0;
  const place = findStop(timeline, "decision", { from: 0 });
  return timeline.steps[place].flags.includes("decision") ? place : 0;
}
