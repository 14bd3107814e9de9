// The parts of the player that need no screen: clock, keys, names, places, words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { layoutFor } from "../../vizlib/player/appearance.js";
import { Clock, DWELL } from "../../vizlib/player/clock.js";
import { Timeline } from "../../vizlib/player/film.js";
import { narrowFlow, wideFlow } from "../../vizlib/player/flow.js";
import { along, curve } from "../../vizlib/player/glyphs.js";
import { actionOf, KEYS } from "../../vizlib/player/keyboard.js";
import { shortened, widestGap } from "../../vizlib/player/lanes.js";
import { runName, scheduleOf } from "../../vizlib/player/runname.js";
import { around, kernelAddress } from "../../vizlib/player/threads.js";
import { nobody } from "../../vizlib/player/story.js";
import { linesOf, machineInWords } from "../../vizlib/player/transcript.js";
import { filmOf, STEPS } from "./films.mjs";

const steps = (clock, times) => times.map((now) => clock.frame(now).steps);

test("a frame whose timestamp lies before the one that asked for it takes no time", () => {
  const clock = new Clock();
  clock.playing = true;
  assert.deepEqual(clock.frame(1000), { elapsed: 0, steps: 0 });
  assert.deepEqual(clock.frame(990), { elapsed: 0, steps: 0 });
  assert.equal(clock.frame(1006).elapsed, 16);
});

test("a step is due after its time, and speed shortens it", () => {
  const clock = new Clock();
  clock.playing = true;
  const frames = Array.from({ length: 12 }, (_, i) => i * 200);
  assert.equal(steps(clock, frames).reduce((a, b) => a + b), Math.floor(2200 / DWELL));
  const fast = new Clock();
  fast.playing = true;
  fast.speed = 4;
  assert.equal(steps(fast, frames).reduce((a, b) => a + b), Math.floor(2200 / (DWELL / 4)));
});

test("a page that slept does not leap when it wakes", () => {
  const clock = new Clock();
  clock.playing = true;
  clock.frame(0);
  assert.ok(clock.frame(60_000).steps <= 1);
});

test("a paused clock makes no steps, and motion ends before the next step", () => {
  const clock = new Clock();
  assert.deepEqual(steps(clock, [0, 5000, 10_000]), [0, 0, 0]);
  clock.playing = true;
  for (const speed of [0.25, 1, 16]) {
    clock.speed = speed;
    assert.ok(clock.motion < clock.dwell);
  }
});

test("every key has one action", () => {
  const keys = KEYS.flatMap(([names]) => names);
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(actionOf({ key: "ArrowRight" }), "forward");
  assert.equal(actionOf({ key: "x" }), null);
});

test("keys with a modifier belong to the browser", () => {
  assert.equal(actionOf({ key: "d", ctrlKey: true }), null);
  assert.equal(actionOf({ key: "ArrowLeft", altKey: true }), null);
  assert.equal(actionOf({ key: "Enter", shiftKey: true }), null, "runs the next cell");
});

test("a button keeps its space, a slider its arrows, a list all its keys", () => {
  const button = { tagName: "BUTTON" };
  const slider = { tagName: "INPUT", type: "range" };
  assert.equal(actionOf({ key: " ", target: button }), null);
  assert.equal(actionOf({ key: "ArrowRight", target: button }), "forward");
  assert.equal(actionOf({ key: "ArrowRight", target: slider }), null);
  assert.equal(actionOf({ key: " ", target: slider }), "toggle");
  assert.equal(actionOf({ key: "ArrowDown", target: { tagName: "SELECT" } }), null);
});

test("the run's name grows with the steps, in the grammar of schedules", () => {
  const timeline = new Timeline(filmOf(STEPS));
  const names = [0, 1, 3, 4].map((place) => (timeline.seek(place), runName(timeline)));
  const head = "one_page?rounds=1 mutex_v37";
  assert.deepEqual(names, [head, `${head} a`, `${head} a3`, `${head} a3b.1`]);
});

test("a choice ends a run of steps", () => {
  const timeline = new Timeline(filmOf([{ task: "one" }, { task: "one", choice: 2 }, { task: "one" }, { task: "two" }]));
  assert.equal(scheduleOf(timeline, 4), "a2.2ab");
});

test("on a narrow page no panel is wider than the widest, and none lies on another", () => {
  const film = filmOf([]);
  const { w, h, at } = narrowFlow(film);
  assert.equal(w, 274);
  const places = film.panels.map((panel) => ({ panel, x: at.get(panel.id)[0], y: at.get(panel.id)[1] }));
  for (const { panel, x, y } of places) assert.ok(x >= 0 && x + panel.w <= w && y + panel.h <= h, panel.id);
  assert.deepEqual(places.map(({ y }) => y), [0, 102, 218]);
});

test("on a wide page the panels stand where the film says", () => {
  const { w, at, shift } = wideFlow(filmOf([]));
  assert.deepEqual([w, at.get("right"), shift.get("right")], [560, [286, 0], [0, 0]]);
});

test("a curve begins at its first point and ends at its last", () => {
  const points = [[0, 0], [50, -40], [100, 0]];
  assert.deepEqual([along(points, 0), along(points, 0.5), along(points, 1)], [[0, 0], [50, -20], [100, 0]]);
  assert.deepEqual([curve(points), curve(points.slice(0, 2))], ["M0 0Q50 -40 100 0", "M0 0L50 -40"]);
});

test("a label goes where the widest part of its bar can be seen", () => {
  assert.deepEqual(widestGap(0, 100, []), [0, 100]);
  assert.deepEqual(widestGap(0, 100, [[10, 30], [40, 50]]), [50, 100]);
  assert.deepEqual(widestGap(0, 100, [[60, 200]]), [0, 60]);
  assert.deepEqual(widestGap(0, 100, [[0, 100]]), [0, 0]);
});

test("a label that does not fit is cut, and left out if too little of it would be left", () => {
  assert.deepEqual([20, 12, 7].map((letters) => shortened("anon_vma of A", letters)), ["anon_vma of A", "anon_vma of…", ""]);
});

test("source lines are shown around the current one, without blank ones", () => {
  const source = { first: 10, lines: ["def f(k):", "", "", "    a", "    b", "    c", "    d", "    e", "    f"] };
  assert.deepEqual(around(source, 15).map(({ number }) => number), [13, 14, 15, 16, 17, 18]);
  assert.deepEqual(around(source, 13).map(({ number }) => number), [10, 13, 14, 15, 16, 17]);
});

test("a citation of a tree leads to its line; one of a message leads nowhere", () => {
  assert.equal(kernelAddress("mm/rmap.c:1470 (v3.7)"), "https://elixir.bootlin.com/linux/v3.7/source/mm/rmap.c#L1470");
  assert.equal(kernelAddress("message 2012, patch 5"), null);
  assert.equal(kernelAddress(undefined), null);
});

test("the words of a step hold all that the picture shows", () => {
  const film = filmOf(STEPS, { violation: { step: 4, kind: "lost write", sentence: "The write is lost." } });
  const timeline = new Timeline(film);
  assert.deepEqual(linesOf(timeline, 1), ["one takes A", "Changed: A: free becomes held by one.", "Could run next: one (begin)."]);
  assert.deepEqual(linesOf(timeline, 2), ["one replaces the PTE", "Could run next: one (copy).", "Cannot run: two (waits for the page lock)."]);
  assert.deepEqual(linesOf(timeline, 4), ["two goes on", "Cannot run: one (has finished).", "Violation: The write is lost."]);
});

test("an empty list says why: nobody has to wait, the run has ended, or a violation has ended it", () => {
  const timeline = new Timeline(filmOf(STEPS));
  assert.deepEqual(nobody(timeline), { can: "nobody", cannot: "nobody has to wait" });
  timeline.seek(4);
  assert.deepEqual(nobody(timeline), { can: "nobody: the run ends here", cannot: "nobody" });
  const wrong = new Timeline(filmOf(STEPS, { violation: { step: 4, kind: "lost write", sentence: "The write is lost." } }));
  assert.equal(nobody(wrong).cannot, "nobody has to wait");
  wrong.seek(4);
  assert.deepEqual(nobody(wrong), { can: "nobody: the violation ends the run", cannot: "the run is over for everyone" });
});

test("the machine in words has each panel's title and what its marks say", () => {
  const film = filmOf(STEPS);
  film.first["pte:P:0"].say = "PTE of p0: → f0";
  film.first["token:P:0"].say = "p0 is in frame f0";
  const timeline = new Timeline(film);
  assert.deepEqual(machineInWords(timeline), [["Left", ["PTE of p0: → f0", "p0 is in frame f0"]]]);
  timeline.seek(3);
  assert.deepEqual(machineInWords(timeline), [["Left", ["PTE of p0: → f0"]], ["Right", ["p0 is in frame f0"]]]);
});

test("a page as wide as a Lab cell has two columns, a phone one", () => {
  assert.deepEqual([1440, 1000, 700, 390].map(layoutFor), ["full", "wide", "middle", "narrow"]);
});
