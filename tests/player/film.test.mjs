// A film can be entered anywhere, forwards and backwards, and says where to stop.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { test } from "node:test";

import { findStop, FilmError, openingPlace, Timeline } from "../../vizlib/player/film.js";
import { filmOf, stateOf, STEPS } from "./films.mjs";

test("a mark keeps what a step does not change, and texts are found by their number", () => {
  const timeline = new Timeline(filmOf(STEPS));
  timeline.seek(2);
  const pte = timeline.marks.get("pte:P:0");
  assert.deepEqual([pte.face, pte.panel, pte.w, pte.text[0].s, pte.shape], ["migration", "left", 60, "migration entry", "rect"]);
});

test("a new mark comes and goes, forwards and backwards", () => {
  const timeline = new Timeline(filmOf(STEPS));
  const there = [0, 1, 2, 3, 4, 3, 2].map((place) => (timeline.seek(place), timeline.marks.has("copy:P:0")));
  assert.deepEqual(there, [false, false, false, true, false, true, false]);
});

test("threads, locks and counts follow the place", () => {
  const timeline = new Timeline(filmOf(STEPS));
  timeline.seek(2);
  assert.equal(timeline.threads.get("two").state, "waiting");
  assert.deepEqual(timeline.locks.get("lock:A").holders, [{ task: "one", mode: "" }]);
  assert.deepEqual([timeline.now.counts.locks, timeline.now.next[0].why], [1, "copy"]);
  timeline.seek(0);
  assert.deepEqual([timeline.threads.get("two").state, timeline.locks.get("lock:A").holders, timeline.now.counts.locks], ["user", [], 0]);
});

test("what holds until further notice holds in later steps", () => {
  const timeline = new Timeline(filmOf(STEPS));
  timeline.seek(3);
  assert.deepEqual(timeline.now.blocked, [{ task: "two", why: "waits for the page lock" }]);
});

test("who could run next is given whole or as what differs, and stays in the order of the tasks", () => {
  const steps = [{ next: { two: "write p0" } }, { next: { one: null }, blocked: { one: "waits for A" } }, { next: [{ task: "one", why: "go on" }], blocked: { one: null } }];
  const { standing } = new Timeline(filmOf(steps));
  assert.deepEqual(standing.map(({ next }) => next.map(({ task, why }) => `${task}: ${why}`)),
    [["one: begin"], ["one: begin", "two: write p0"], ["two: write p0"], ["one: go on"]]);
  assert.deepEqual(standing.map(({ blocked }) => blocked.length), [0, 0, 1, 0]);
});

test("a place outside the film is its nearest end", () => {
  const timeline = new Timeline(filmOf(STEPS));
  assert.deepEqual([timeline.seek(99), timeline.seek(-3), timeline.seek(Number.NaN), timeline.seek(1.6)], [4, 0, 0, 2]);
});

test("jumping anywhere gives the same as going there step by step", () => {
  const file = process.env.RMAPWALK_FILM;
  const film = file ? JSON.parse(readFileSync(file, "utf8")) : filmOf(STEPS);
  const walker = new Timeline(film);
  const expected = [];
  for (let place = 0; place <= walker.length; place += 1) {
    walker.seek(place);
    expected.push(stateOf(walker));
  }
  const jumper = new Timeline(film);
  for (let jump = 0, place = 1; jump < 200; jump += 1, place = (place * 31 + 17) % (walker.length + 1)) {
    jumper.seek(place);
    assert.deepEqual(stateOf(jumper), expected[place], `at ${place}`);
  }
});

test("a jump across 2,000 steps takes less than a frame", () => {
  const steps = Array.from({ length: 2000 }, (_, i) => ({ task: "one", sentence: `step ${i}`, marks: { "token:P:0": { x: i % 7 }, "pte:P:0": { bold: i % 2 === 0 } } }));
  const timeline = new Timeline(filmOf(steps));
  const times = [2000, 0, 2000, 0, 2000].map((place) => {
    const start = performance.now();
    timeline.seek(place);
    return performance.now() - start;
  });
  assert.ok(Math.min(...times) < 16, `took ${times}`);
});

test("the next stop of a kind is found, in both directions, or else the end", () => {
  const timeline = new Timeline(filmOf(STEPS));
  assert.equal(findStop(timeline, "lock"), 1);
  assert.equal(findStop(timeline, "decision"), 2);
  assert.equal(findStop(timeline, "preempt"), 4);
  assert.equal(findStop(timeline, "lock", { from: 1 }), 4, "there is none: the end");
  assert.equal(findStop(timeline, "decision", { from: 4, back: true }), 2);
  assert.equal(findStop(timeline, "decision", { from: 2, back: true }), 0, "there is none: the start");
});

test("a change of the page is another face, another place, or something that the step names as changed", () => {
  const timeline = new Timeline(filmOf([...STEPS, { task: "two" }]));
  assert.equal(findStop(timeline, "change"), 2, "the PTE turns");
  assert.equal(findStop(timeline, "change", { from: 2 }), 3, "the page travels");
  assert.equal(findStop(timeline, "change", { from: 3 }), 5, "the end: a PTE that is only lit up has not changed");
  assert.equal(findStop(timeline, "change", { ids: ["lock:A"] }), 1);
});

test("a film opens at its first decision", () => {
  assert.equal(openingPlace(new Timeline(filmOf(STEPS))), 2);
  const film = filmOf(STEPS);
  film.start = { ...film.start, flags: ["decision"] };
  assert.equal(openingPlace(new Timeline(film)), 0);
  assert.equal(openingPlace(new Timeline(filmOf([]))), 0, "nobody ever had a choice");
  assert.equal(openingPlace(new Timeline(filmOf(STEPS, { open_at: 3 }))), 3, "its maker wants it so");
});

test("what is no film, or a film of another version, is refused with the reason", () => {
  assert.throws(() => new Timeline({}), FilmError);
  assert.throws(() => new Timeline(null), /no rmapwalk film/);
  assert.throws(() => new Timeline({ ...filmOf([]), version: 2 }), /version 2; this player plays version 1/);
});
