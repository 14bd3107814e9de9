// Which key does what.  The player gives the actions; the help dialog prints this table.

/** @type {[string[], string, string][]} keys, action, what it does */
export const KEYS = [
  [[" "], "toggle", "play or pause"],
  [["ArrowRight"], "forward", "one step forward"],
  [["ArrowLeft"], "back", "one step back"],
  [["n", "Enter"], "decision", "to the next decision: somebody else could run instead"],
  [["N"], "decisionBack", "back to the decision before"],
  [["l"], "lock", "to the next lock event"],
  [["c"], "change", "to the next change of the chosen page"],
  [["C"], "chooseNext", "choose what that is: the next page, PTE or TLB entry"],
  [["p"], "preempt", "to the next preemption"],
  [["Home"], "first", "to the start"],
  [["End"], "last", "to the end"],
  [["ArrowDown"], "taskDown", "choose the next task"],
  [["ArrowUp"], "taskUp", "choose the task before"],
  [["Escape"], "escape", "choose no task; close what is open"],
  [["+", "="], "faster", "faster"],
  [["-"], "slower", "slower"],
  [["1", "2", "3", "…"], "", "let the first, second, third … task step"],
  [["r"], "letLast", "let the task that stepped last run on until others can see it"],
  [["b"], "branches", "the runs tried"],
  [["g"], "graphs", "the graphs: who waits for whom, and the family that a walk visits"],
  [["/"], "find", "look for words in the run"],
  [["f"], "lecture", "lecture mode: full screen, large type; PageDown and PageUp step"],
  [["h"], "hide", "in a lecture: ask before each step what it will do, or do not"],
  [["t"], "transcript", "the whole run in words"],
  [["d"], "dark", "light or dark"],
  [["?"], "help", "these keys"],
];

const NAMES = {
  " ": "space", ArrowRight: "→", ArrowLeft: "←", ArrowUp: "↑", ArrowDown: "↓", Enter: "enter", Escape: "esc",
  N: "shift n", C: "shift c",
};

/** A key as it is printed. */
export function keyName(key) {
  return NAMES[key] ?? key;
}

/**
 * The action of a key press, or null if the key is none of ours.
 *
 * A field that takes text or a list keeps its own keys, a slider its arrows, and a button its space and enter.
 * @param {{key: string, ctrlKey?: boolean, altKey?: boolean, metaKey?: boolean, shiftKey?: boolean,
 *          target?: {tagName?: string, type?: string} | null}} event
 */
export function actionOf(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || (event.shiftKey && event.key === "Enter")) return null;
  const tag = (event.target?.tagName ?? "").toUpperCase();
  const type = event.target?.type ?? "";
  if (tag === "TEXTAREA" || tag === "SELECT") return null;
  if (tag === "INPUT" && (type !== "range" || /^(Arrow|Home|End|Page)/.test(event.key))) return null;
  if ((tag === "BUTTON" || tag === "A" || tag === "SUMMARY") && (event.key === " " || event.key === "Enter")) return null;
  if (event.key === "PageDown" || event.key === "PageUp") return event.key === "PageDown" ? "present" : "presentBack";
  if (/^[1-9]$/.test(event.key)) return `let${Number(event.key) - 1}`;
  return KEYS.find(([keys]) => keys.includes(event.key))?.[1] ?? null;
}

/** Whether a key press is a letter without a modifier. */
export function isLetter(event) {
  return event.key.length === 1 && !(event.ctrlKey || event.altKey || event.metaKey);
}
