// Small helpers that make elements.  Nothing here knows what a film is.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Give an element its attributes, listeners (`onclick`) and children.
 * @param {Element} el
 * @param {Record<string, any>} attributes null, undefined and false are left out; true is an empty value
 * @param {(Node | string | null)[]} children
 */
function fill(el, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else el.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null) el.append(child);
  return el;
}

/** An HTML element. @returns {any} */
export function html(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. @returns {any} */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Change an element's text only if it differs: an untouched live region is not read out again. */
export function setText(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

/** Set an attribute, or remove it if the value is null or false. */
export function setAttribute(el, name, value) {
  if (value === null || value === undefined || value === false) el.removeAttribute(name);
  else if (el.getAttribute(name) !== String(value)) el.setAttribute(name, String(value));
}

/** A colour of the theme by its name: `colour("task0")` is `var(--rw-task0)`; "none" stays none. */
export function colour(name) {
  return name && name !== "none" ? `var(--rw-${name})` : "none";
}
