// Small films written by hand, for the tests of the player's modules.

/** A film of two tasks; `steps` are differences. */
export function filmOf(steps, more = {}) {
  return {
    format: "rmapwalk-film", version: 1, title: "a film", run_name: "one_page?rounds=1 mutex_v37 ab", world: "one_page",
    variant: "mutex_v37", variant_title: "", stage: { w: 560, h: 200 },
    panels: [
      { id: "left", title: "Left", x: 0, y: 0, w: 274, h: 90, in: "machine", frame: true },
      { id: "right", title: "Right", x: 286, y: 0, w: 274, h: 90, in: "machine", frame: true },
      { id: "below", title: "Below", x: 0, y: 120, w: 274, h: 80, in: "machine", frame: true },
    ],
    tasks: [{ id: "one", letter: "a", cpu: 0, colour: "task0", kind: "thread" }, { id: "two", letter: "b", cpu: 1, colour: "task1", kind: "thread" }],
    first: { "pte:P:0": { panel: "left", w: 60, h: 40, text: 0, face: "present" }, "token:P:0": { panel: "left", x: 5, y: 7, w: 40, h: 20, shape: "token" } },
    texts: [[{ s: "→ f0", x: 1, y: 2 }], [{ s: "migration entry", x: 1, y: 2 }]],
    start: {
      sentence: "the start", next: [{ task: "one", why: "begin" }], blocked: [], done: [], counts: { locks: 0 }, flags: [],
      threads: { one: { state: "ready", status: "", stack: [] }, two: { state: "user", status: "", stack: [], user: "write p0" } },
      locks: { "lock:A": { title: "A", kind: "mutex · sleeps", rank: 40, holders: [], waiters: [] } },
    },
    focus: ["pte:P:0", "token:P:0"], focus_label: "p0", sources: [], lanes: [], arrows: [], violation: null, steps, ...more,
  };
}

/** Four steps with something of each kind. */
export const STEPS = [
  { task: "one", sentence: "one takes A", flags: ["lock"], locks: { "lock:A": { holders: [{ task: "one", mode: "" }] } }, counts: { locks: 1 },
    changed: [{ what: "A", from: "free", to: "held by one", mark: "lock:A" }] },
  { task: "one", sentence: "one replaces the PTE", flags: ["pte", "decision"], marks: { "pte:P:0": { text: 1, face: "migration" } },
    blocked: [{ task: "two", why: "waits for the page lock" }], next: [{ task: "one", why: "copy" }], threads: { two: { state: "waiting", user: "" } } },
  { task: "one", sentence: "one copies", marks: { "token:P:0": { panel: "right" }, "copy:P:0": { new: true, shape: "arrow", points: [[0, 0], [9, 9]] } } },
  { task: "two", sentence: "two goes on", flags: ["preempt"], choice: 1, marks: { "copy:P:0": null, "pte:P:0": { bold: true } }, done: ["one"], next: [], blocked: [] },
];

/** A plain picture of a timeline's state, to be compared. */
export function stateOf(timeline) {
  const plain = (map) => Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
  return structuredClone({ marks: plain(timeline.marks), threads: plain(timeline.threads), locks: plain(timeline.locks), now: timeline.now, step: timeline.step });
}
