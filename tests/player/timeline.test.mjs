// Intervals on a canvas: which are to be seen, and how much of a stretch they cover.

import assert from "node:assert/strict";
import { test } from "node:test";

import { timeWords } from "../../vizlib/player/timeline.js";
import { beginningBy, neighbour, placeOf, Track } from "../../vizlib/player/track.js";

const track = new Track([[0, 100, 100], [50, 50, 600], [0, 0, 1]], 1000); // 0-50, 100-150, 200-800

test("the share of a stretch is what the intervals cover of it", () => {
  const close = (a, b) => assert.ok(Math.abs(a - b) < 0.01, `${a} is not ${b}`);
  close(track.shares(0, 1000, 1)[0], 0.7);
  close(track.shares(0, 100, 1)[0], 0.5);
  const [a, b] = track.shares(0, 200, 2);
  close(a, 0.5);
  close(b, 0.5);
  close(track.shares(300, 400, 4)[3], 1);
});

test("what lasts at a time is found, also behind later starts", () => {
  const it = new Track([[0, 10, 10, 500], [900, 5, 5, 5], [0, 0, 0, 0]], 1000);
  assert.equal(it.first(600), 0);
  assert.equal(it.after(15), 2);
  assert.equal(track.first(160), 2);
});

test("a moment without length is seen from far away", () => {
  const it = new Track([[500], [0], [0]], 1000);
  assert.ok(it.shares(0, 1000, 10)[5] > 0);
});

test("from interval to interval, forward and back, through several tracks: each once, in order of their starts", () => {
  const tracks = [track, new Track([[100, 0, 50, 800], [10, 0, 5, 0], [0, 0, 0, 0]], 1000), new Track([[], [], []], 1000), new Track([[0, 100], [0, 0], [0, 0]], 1000)];
  const starts = ({ track: it, i }) => tracks[it].from[i];
  const way = [/** @type {any} */ (beginningBy(tracks, -1))];
  for (let next = neighbour(tracks, way[0], 1); next; next = neighbour(tracks, next, 1)) way.push(next);
  assert.deepEqual(way.map((it) => [starts(it), it.track]), [[0, 0], [0, 3], [100, 0], [100, 1], [100, 1], [100, 3], [150, 1], [200, 0], [950, 1]]);
  way.forEach((it, at) => {
    assert.deepEqual(neighbour(tracks, it, -1), way[at - 1] ?? null);
    assert.deepEqual(placeOf(tracks, it), [at + 1, way.length]);
  });
  assert.deepEqual(beginningBy(tracks, 160), { track: 1, i: 2 });
  assert.equal(beginningBy([], 160), null);
});

test("half a million intervals are summed in a blink", () => {
  const many = new Track([Array(500_000).fill(2), Array(500_000).fill(1), Array(500_000).fill(0)], 1_000_000);
  const began = performance.now();
  for (let i = 0; i < 32; i += 1) many.shares(i * 1000, 900_000, 1200);
  assert.ok(performance.now() - began < 2000);
});

test("an axis tells its times in the unit of its steps", () => {
  assert.equal(timeWords(2_000_000, 2_000_000), "2 ms");
  assert.equal(timeWords(1_250_000, 50_000), "1,250 µs");
  assert.equal(timeWords(1_250, 50), "1,250 ns");
});
