// The graphs as data: circles, places that stay, walks.

import assert from "node:assert/strict";
import { test } from "node:test";

import { familyMarks, walksOf, walksTold } from "../../vizlib/player/family.js";
import { Timeline } from "../../vizlib/player/film.js";
import { upTo } from "../../vizlib/player/hands.js";
import { circlesOf, edgesAt, graphAt, layoutOf, waitMarks, waitsTold } from "../../vizlib/player/waitfor.js";
import { filmOf } from "./films.mjs";

const edges = (...pairs) => pairs.map((it) => ({ source: it[0], target: it[1], words: "waits for" }));

const RING = {
  "task:one": [["lock:B", "waits for"]], "lock:B": [["task:two", "held by"]], "task:two": [["lock:A", "waits for"]], "lock:A": [["task:one", "held by"]],
};
const WAITED = { "lock:A": { title: "the lock A", kind: "mutex" }, "lock:B": { title: "the lock B", kind: "mutex" } };

/** One waits, then both, in a ring. */
function ring() {
  return new Timeline(filmOf([
    { task: "one", sentence: "one waits", waits: { "task:one": RING["task:one"], "lock:B": RING["lock:B"] } },
    { task: "two", sentence: "two waits", waits: { "task:two": RING["task:two"], "lock:A": RING["lock:A"] } },
  ], { waited_for: WAITED }));
}

test("a circle is found, told from the task that stands first, and only where there is one", () => {
  assert.deepEqual(circlesOf(edges("ab", "bc", "cd"), ["a"]), []);
  assert.deepEqual(circlesOf(edges("ab", "bc", "cb"), ["a", "b", "c"]), [["b", "c"]]);
  assert.deepEqual(circlesOf(edges("xa", "ab", "bc", "ca", "pq", "qp"), ["b", "q"]), [["b", "c", "a"], ["q", "p"]]);
  assert.deepEqual(circlesOf(edges("ab", "bc", "cd", "da", "ca"), ["a"]), [["a", "b", "c"]]); // the shortest of a knot
});

test("a lock that is held and that nobody waits for has no arrow", () => {
  const timeline = new Timeline(filmOf([{ task: "one", sentence: "", waits: { "lock:A": RING["lock:A"] } }], { waited_for: WAITED }));
  timeline.seek(1);
  assert.deepEqual(edgesAt(timeline), []);
  assert.deepEqual(waitsTold(timeline.film, graphAt(timeline)), []);
});

test("every place of the film has its boxes at the same places; going back takes the arrows away", () => {
  const timeline = ring();
  const layout = layoutOf(timeline);
  const boxes = () => [...waitMarks(timeline, layout, graphAt(timeline))].filter(([id]) => /^(task|lock):/.test(id)).map(([id, { x, y, w, h }]) => [id, x, y, w, h]);
  const arrows = () => [...waitMarks(timeline, layout, graphAt(timeline)).keys()].filter((id) => id.startsWith("arrow:"));
  const start = boxes();
  assert.deepEqual(start.map(([id]) => id), ["task:one", "task:two", "lock:A", "lock:B"]);
  timeline.seek(2);
  assert.deepEqual(boxes(), start);
  assert.equal(arrows().length, 4);
  timeline.seek(0);
  assert.deepEqual(arrows(), []);
});

test("a deadlock is numbered round, outlined, and told; one that waits for a lock is not", () => {
  const timeline = ring();
  const layout = layoutOf(timeline);
  timeline.seek(1);
  assert.deepEqual([...waitMarks(timeline, layout, graphAt(timeline)).keys()].filter((id) => id.startsWith("stuck:")), []);
  assert.deepEqual(waitsTold(timeline.film, graphAt(timeline)), ["one waits for the lock B, held by two."]);
  timeline.seek(2);
  const marks = waitMarks(timeline, layout, graphAt(timeline));
  assert.equal([...marks.keys()].filter((id) => id.startsWith("stuck:")).length, 4);
  const numbers = ["task:one:lock:B", "lock:B:task:two", "task:two:lock:A", "lock:A:task:one"].map((it) => marks.get(`arrow:${it}`)?.text[0].s);
  assert.deepEqual(numbers, ["1", "2", "3", "4"]);
  assert.equal(waitsTold(timeline.film, graphAt(timeline)).at(-1), "Deadlock: one waits for the lock B, held by two, which waits for the lock A, held by one. None can ever go on.");
});

test("what nobody holds is up to the others that wait, and so part of the ring", () => {
  const before = { "task:one": [["field:F", "waits for"]], "task:two": RING["task:two"], "lock:A": RING["lock:A"] };
  const up = upTo(new Map(Object.entries(before)));
  assert.deepEqual(up, { "field:F": [["task:two", "which is up to"]] });
  const waited_for = { ...WAITED, "field:F": { title: "end of F", kind: "", said: "the end of F" } };
  const timeline = new Timeline(filmOf([{ task: "one", sentence: "", waits: before }, { task: "two", sentence: "", waits: up }], { waited_for }));
  timeline.seek(1);
  assert.deepEqual(graphAt(timeline).circles, []);
  timeline.seek(2);
  assert.equal(waitsTold(timeline.film, graphAt(timeline)).at(-1), "Deadlock: one waits for the end of F, which is up to two, which waits for the lock A, held by one. None can ever go on.");
});

const [AVC, VMA] = [{ panel: "family", shape: "diamond", x: 200, y: 50, w: 52, h: 36 }, { panel: "family", shape: "rect", x: 200, y: 150, w: 90, h: 40 }];

/** One begins a walk, stops twice, and leaves it; two steps in between. */
function walk() {
  const sources = ["walker", "walked", "caller"].map((name) => ({ function: name, file: "none.py", kernel: "", first: 1, lines: [""] }));
  const at = (...stack) => ({ one: { stack: stack.map((it) => [it, 1]) } });
  return new Timeline(filmOf([
    { task: "one", sentence: "", threads: at(2, 0), walk: ["walker", "kin:A", "tree"] },
    { task: "one", sentence: "", walk: ["walker", "kin:a1"] },
    { task: "one", sentence: "", threads: at(2, 0, 1) },
    { task: "two", sentence: "" },
    { task: "one", sentence: "", threads: at(2, 0), walk: ["walker", "kin:a2"] },
    { task: "one", sentence: "", threads: at(2) },
  ], { sources, family: { panel: {}, first: { "kin:A": { ...AVC, shape: "ellipse", x: 0 }, "kin:a1": AVC, "kin:a2": { ...AVC, x: 300 }, "kin:v2": VMA, "kin:a2>kin:v2": { shape: "arrow" } } } }));
}

test("a walk is under way from its first step until its function has returned", () => {
  assert.deepEqual(walksOf(walk()).map((it) => it.get("one")?.stops.length), [undefined, 0, 1, 1, 1, 2, undefined]);
});

test("its stops are numbered, and its name stands at the last one", () => {
  const timeline = walk();
  const walks = walksOf(timeline)[5];
  const marks = familyMarks(timeline, walks);
  assert.deepEqual([...marks.keys()].filter((id) => /^(stop|walk):/.test(id)), ["stop:one:1", "stop:one:2", "walk:one"]);
  assert.ok((marks.get("walk:one")?.x ?? 0) > 280);
  assert.deepEqual(walksTold(timeline, walks), ["one walks A in walker: stop 2, a2, VMA v2."]);
  assert.deepEqual(familyMarks(timeline, new Map()).size, 5);
});
