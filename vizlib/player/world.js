// A small world that runs here: who can step in a state, what the step changes, and what the state looks like.
// All of it was learned elsewhere (vizlib/playable.py says how); this file looks it up.

/**
 * @typedef {number[]} State a number a slot
 * @typedef {{set: number[][], choice?: number, outcome?: string, violation?: {kind: string, sentence: string}}} Move
 * @typedef {{on: number[], is: Record<string, number>, id?: string}} Learned a function of the state
 */

/** What a function says of a state: the number of a value, or undefined. @param {Learned | null} it @param {State} state */
function ask(it, state) {
  return it === null ? undefined : it.is[it.on.map((slot) => state[slot]).join(",")];
}

export class World {
  /** @param {any} film one that has hands */
  constructor(film) {
    this.film = film;
    this.hands = film.hands;
    /** What is shown, by kind and id. */
    this.things = this.hands.shown.map((it) => {
      const [kind, ...rest] = it.id.split(":");
      const wait = kind === "wait";
      return { it, kind, id: rest.slice(wait ? 1 : 0).join(":"), who: wait ? rest[0] : "" };
    });
    this.bars = this.things.filter(({ kind }) => kind === "bars");
    this.numbers = new Map(this.hands.tasks.map(({ task }, number) => [task, number]));
  }

  /** What a task could do: the numbers of the moves, one for each choice; none if it cannot step. */
  moves(state, task) {
    const number = /** @type {number} */ (this.numbers.get(task));
    const row = this.hands.rows[number]?.[state[number]];
    return row?.moves[row.on.map((slot) => state[slot]).join(",")] ?? [];
  }

  /** The state after a move. @param {State} state @param {number} move @returns {State} */
  after(state, move) {
    const next = [...state];
    for (const [slot, value] of this.hands.moves[move].set) next[slot] = value;
    return next;
  }

  /** The move of a step of a film. @param {State} state @param {{task: string, choice?: number | null}} step */
  moveOf(state, step) {
    const moves = this.moves(state, step.task);
    return moves.find((it) => (this.hands.moves[it].choice ?? null) === (step.choice ?? null));
  }

  /** The states of a film, one a place; shorter if a step cannot be followed. @returns {State[]} */
  statesOf(steps) {
    const states = [this.hands.start];
    for (const step of steps) {
      const move = this.moveOf(states.at(-1), step);
      if (move === undefined) break;
      states.push(this.after(states.at(-1), move));
    }
    return states;
  }

  /** Everything that a state shows, by kind and id. @returns {Record<string, Map<string, any>>} */
  show(state) {
    const found = { mark: new Map(), kin: new Map(), waits: new Map(), lock: new Map(), thread: new Map(), next: new Map(), blocked: new Map(), done: new Map(), bars: new Map() };
    for (const { it, kind, id, who } of this.things) {
      const number = ask(it, state);
      if (number === undefined) continue;
      if (who) {
        const seen = found.lock.get(id);
        found.lock.set(id, { ...seen, waiters: [...seen.waiters, { task: who, mode: "" }] });
      } else found[kind].set(id, this.hands.values[number]);
    }
    return found;
  }

  /** What a move tells, given the state after it. */
  told(move, state) {
    return this.hands.values[ask(this.hands.told[move], state) ?? -1] ?? {};
  }

  /** What is wrong with a state in which nobody goes on; undefined if nothing is, or if somebody does. */
  end(state) {
    const stuck = this.hands.tasks.every(({ task }) => this.moves(state, task).length === 0);
    if (!stuck && !this.finished(state)) return undefined; // the table was learned from the other states only
    return this.hands.values[ask(this.hands.ends, state) ?? -1];
  }

  /** Whether every task that is no daemon has finished. */
  finished(state) {
    return this.hands.tasks.every(({ daemon }, number) => daemon || state[number] === 0);
  }

  /** The lanes of a film: what each state adds to them is known, a bar goes on as long as that stays. */
  lanes(steps, states) {
    const bars = [];
    const arrows = [];
    const open = new Map();
    const colours = new Map(this.film.tasks.map(({ id, colour }) => [id, colour]));
    const close = (key, to) => {
      open.get(key).to = to;
      open.delete(key);
    };
    states.forEach((state, place) => {
      const now = new Map();
      for (const { it, id: task } of this.bars) for (const [kind, key, label, rank] of this.hands.values[ask(it, state) ?? -1] ?? []) now.set(`${task} ${kind} ${key}`, { task, kind, label, rank });
      for (const key of [...open.keys()]) if (!now.has(key)) close(key, place);
      for (const [key, bar] of now) {
        if (open.has(key)) continue;
        const started = { ...bar, colour: colours.get(bar.task), from: place, to: place };
        open.set(key, started);
        bars.push(started);
      }
      if (place > 0) this.#strokes(steps[place - 1], states[place - 1], place, bars, arrows);
    });
    for (const key of [...open.keys()]) close(key, states.length - 1);
    return { lanes: bars, arrows };
  }

  #strokes(step, before, place, bars, arrows) {
    const move = /** @type {number} */ (this.moveOf(before, step));
    const { copy, sent = [], taken = [] } = this.told(move, this.after(before, move));
    if (copy) bars.push({ task: step.task, from: place, to: place, kind: "copy", label: copy, rank: 0 });
    for (const [from, to] of sent) arrows.push({ kind: "ipi", from, to, sent: place, taken: null, label: "IPI" });
    for (const to of taken) {
      const waiting = arrows.find((it) => it.to === to && it.taken === null);
      if (waiting) waiting.taken = place;
    }
  }
}
