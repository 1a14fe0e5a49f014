// SPDX-License-Identifier: GPL-2.0-or-later
// Elements. What comes from the agent is only ever put into text nodes and attributes without code.

// h("a", {href: "#/", class: "x", onclick: f}, "text", child, ...)
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// Characters that would move other text: control characters, and those that turn the direction of writing.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

export function shown(text) {
  return String(text).replace(HIDDEN, (c) => {
    const code = c.charCodeAt(0);
    return code < 256 ? "\\x" + code.toString(16).padStart(2, "0") : "\\u" + code.toString(16).padStart(4, "0");
  });
}

// A name of the probed system: it stays in its own direction.
export function foreign(text) {
  return h("bdi", {}, shown(text));
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
