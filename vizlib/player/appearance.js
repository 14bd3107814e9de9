// Light or dark, and how wide: what the player learns from the page it stands in.

/** @typedef {"light" | "dark"} Mode */

/** What the surroundings ask for: JupyterLab says it on the body, everything else by a media query. @returns {Mode} */
export function surroundingMode() {
  const lab = document.body?.dataset.jpThemeLight;
  if (lab !== undefined) return lab === "true" ? "light" : "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Call back when the surroundings change their mind.  Returns how to stop. @param {() => void} changed */
export function watchMode(changed) {
  const query = matchMedia("(prefers-color-scheme: dark)");
  query.addEventListener("change", changed);
  const observer = new MutationObserver(changed);
  if (document.body) observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  return () => {
    query.removeEventListener("change", changed);
    observer.disconnect();
  };
}

/** Whether the reader wants things to stand still. */
export function wantsStillness() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** The layout for a width in pixels: three columns; two, with the locks under the machine; the machine on top; one. */
export function layoutFor(width) {
  if (width >= 1240) return "full";
  if (width >= 860) return "wide";
  return width >= 560 ? "middle" : "narrow";
}
