// The world that travels with a film does what the machine did: same steps, same words, same locks and threads.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { walksOf } from "../../vizlib/player/family.js";
import { Timeline } from "../../vizlib/player/film.js";
import { Hands, preemptions } from "../../vizlib/player/hands.js";
import { edgesAt } from "../../vizlib/player/waitfor.js";

const films = JSON.parse(readFileSync(process.env.RMAPWALK_HANDS, "utf8"));
const sorted = (items) => [...items].map((it) => JSON.stringify(it)).sort();

/** The film made anew by hand, step for step, from its first place. */
function byHand(film) {
  const hands = new Hands(film);
  let mine = { ...film, steps: [], violation: null, cut: 0 };
  film.steps.forEach((step, place) => { mine = hands.stepNow(mine, place, step.task, step.choice ?? null); });
  return mine;
}

for (const film of films) {
  test(`${film.run_name}, step by step, is the run that Python made`, () => {
    const [mine, theirs] = [new Timeline(byHand(film)), new Timeline(film)];
    assert.equal(mine.length, theirs.length);
    for (let place = 0; place <= theirs.length; place += 1) {
      mine.seek(place);
      theirs.seek(place);
      const where = `${film.run_name}, place ${place}`;
      const { flags, ...step } = theirs.step;
      const { flags: ours, ...own } = mine.step;
      assert.deepEqual(own, step, where);
      assert.deepEqual(sorted(ours), sorted(flags), where);
      assert.deepEqual(mine.now, theirs.now, where);
      assert.deepEqual(Object.fromEntries(mine.threads), Object.fromEntries(theirs.threads), where);
      assert.deepEqual(Object.fromEntries(mine.locks), Object.fromEntries(theirs.locks), where);
      // A mark that the step touched is lit up in Python's film; what it is and where it stands is the same.
      assert.deepEqual(sorted(edgesAt(mine)), sorted(edgesAt(theirs)), where);
      const still = (marks) => sorted([...marks].filter(([, it]) => it.shape !== "arrow").map(([id, it]) => [id, it.panel, it.x, it.y, it.face]));
      assert.deepEqual(still(mine.marks), still(theirs.marks), where);
      assert.deepEqual(still(mine.family), still(theirs.family), where);
      assert.deepEqual(sorted(mine.family.keys()), sorted(theirs.family.keys()), where);
    }
    assert.deepEqual(walksOf(mine).map((it) => [...it]), walksOf(theirs).map((it) => [...it]));
  });

  test(`${film.run_name}: the lanes are those that Python drew`, () => {
    const mine = byHand(film);
    const plain = (bars) => sorted(bars.map(({ task, from, to, kind, label, rank }) => ({ task, from, to, kind, label, rank })));
    assert.deepEqual(plain(mine.lanes), plain(film.lanes));
    assert.deepEqual(sorted(mine.arrows), sorted(film.arrows));
    assert.deepEqual(mine.violation, film.violation);
  });
}

test("who can step is who the film says could run next, at every place", () => {
  for (const film of films) {
    const hands = new Hands(film);
    const timeline = new Timeline(film);
    for (let place = 0; place <= timeline.length; place += 1) {
      const ended = film.violation && place === film.violation.step;
      assert.deepEqual([...hands.choices(film, place).keys()].sort(), ended ? [] : timeline.standing[place].next.map((it) => it.task).sort());
    }
  }
});

test("a task that cannot step is refused", () => {
  const hands = new Hands(films[0]);
  assert.throws(() => hands.stepNow(films[0], 0, "nobody"), /cannot step/);
});

test("preemptions are counted", () => {
  assert.equal(preemptions({ steps: [{ flags: ["preempt"] }, { flags: ["lock"] }, { flags: ["preempt", "decision"] }, {}] }), 2);
});
