// A goal level: something to be reached by choosing who runs, a par that the checker certifies, and then a fix to find.

import { preemptions } from "./hands.js";
import { html, setAttribute, setText } from "./dom.js";

const VERDICTS = { safe: "Mended. ", unsafe: "Still broken. ", right: "Yes. ", wrong: "No. " };

const times = (count) => (count === 1 ? "1 preemption" : `${count || "no"} preemptions`);

/**
 * @typedef {{label: string, verdict: string, says: string, run?: string}} Fix a change, and what the checker says of it
 * @typedef {{title: string, task: string, kind?: string, par: number, steps: number, states: number, run: string,
 *            question: string, fixes: Fix[], on?: number[], is?: Record<string, number>}} GoalData
 *   `kind`: the violation that is wanted; `on`, `is`: or a function of the state that is to become true
 */

export class Goal {
  /** @param {GoalData} goal */
  constructor(goal) {
    this.goal = goal;
    this.yours = html("p", { role: "status" });
    this.fix = html("div", { class: "rmw-fix", hidden: true }, html("h3", {}, goal.kind ? "Now mend it" : "And now"), html("p", {}, goal.question), ...goal.fixes.map((it) => this.#option(it)));
    const how = goal.par === 0 ? "without a preemption" : `with ${times(goal.par)} and no fewer`;
    this.par = `Certified by the checker: it can be done ${how} (${goal.states.toLocaleString("en")} states). A preemption: another task goes on, though the one before it could have.`;
    this.el = html("section", { class: "rmw-goal", "aria-label": "Goal" }, html("h3", {}, `Goal: ${goal.title}`), html("p", {}, goal.task), html("p", { class: "rmw-none" }, this.par), this.yours, this.fix);
    this.reached = false;
  }

  /** @param {any} film @param {number} place @param {number[] | null} state */
  show(film, place, state) {
    const done = this.#isReached(film, place, state);
    const mine = preemptions({ steps: film.steps.slice(0, place) });
    setAttribute(this.el, "data-reached", String(done));
    if (done && !this.reached) {
      this.reached = true;
      this.fix.hidden = this.goal.fixes.length === 0;
    }
    if (!done) setText(this.yours, place === 0 ? "Click a task under “could run next”, or press its number; R lets the last one run on." : `So far: ${place} steps, ${times(mine)}.`);
    else setText(this.yours, `Reached in ${place} steps with ${times(mine)}. ${mine <= this.goal.par ? (mine === 0 ? "Nobody has to be interrupted." : "Nobody can do it with fewer.") : `It can be done with ${this.goal.par}.`}`);
  }

  #isReached(film, place, state) {
    const { kind, on, is } = this.goal;
    if (kind) return film.violation?.kind === kind && place >= film.violation.step;
    return Boolean(state && on && is && is[on.map((slot) => state[slot]).join(",")]);
  }

  #option({ label, verdict, says, run }) {
    const told = html("p", { role: "status", "data-verdict": verdict, hidden: true }, html("b", {}, VERDICTS[verdict] ?? `${verdict}: `), says, run ? html("code", {}, ` ${run}`) : null);
    const button = html("button", { type: "button", class: "rmw-stop", "aria-expanded": "false", onclick: () => {
      told.hidden = false;
      setAttribute(button, "aria-expanded", "true");
    } }, label);
    return html("div", {}, button, told);
  }
}
