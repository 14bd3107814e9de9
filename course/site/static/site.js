// The players of a page follow its light and dark, which they cannot see from inside their frames.

const dark = matchMedia("(prefers-color-scheme: dark)");

function mode() {
  const chosen = document.body.dataset.theme;
  return chosen === "light" || chosen === "dark" ? chosen : dark.matches ? "dark" : "light";
}

function tell(frame) {
  frame.contentWindow.postMessage({ rmapwalkTheme: mode() }, "*");
}

function tellAll() {
  document.querySelectorAll(".rmw-frame").forEach(tell);
}

// What the theme leaves out for those who read with the keyboard or with their ears.
function complete() {
  for (const it of document.querySelectorAll("[role=heading]:not([aria-level])")) it.ariaLevel = "2";
  for (const it of document.querySelectorAll("pre, .table-wrapper")) if (it.scrollWidth > it.clientWidth) it.tabIndex = 0;
}

addEventListener("DOMContentLoaded", () => {
  complete();
  for (const frame of document.querySelectorAll(".rmw-frame")) frame.addEventListener("load", () => tell(frame));
  new MutationObserver(tellAll).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
  dark.addEventListener("change", tellAll);
  tellAll();
});
