// SPDX-License-Identifier: GPL-2.0-or-later
// Asks the agent at the page's pace, and gives the answers to the view that the address names.
//
// #/                       all scripts
// #/script/NAME/TAB        one

import { foreign, h, setText, shown } from "./dom.js";
import { link, Overview } from "./overview.js";
import { keep, rate, Track } from "./readings.js";
import { ScriptView, TABS } from "./script.js";

const PACE = 2000;  // ms between two questions

// Of each script: hits and shares over time.
class History {
  constructor() {
    this.scripts = new Map();
    this.times = [];
  }

  add(tree) {
    const at = this.times.length ? this.times[this.times.length - 1] : null;
    if (tree.time === at) return;
    for (const script of tree.scripts) this.addScript(script, tree);
    keep(this.times, tree.time);
  }

  addScript(script, tree) {
    if (!this.scripts.has(script.name)) this.scripts.set(script.name, { hits: new Track(), shares: new Track(), before: null });
    const known = this.scripts.get(script.name);
    const { before } = known;
    if (before && before.module === script.module && script.hits != null) {
      const seconds = tree.time - before.time;
      known.hits.add(tree.time, rate(before.hits, script.hits, seconds));
      known.shares.add(tree.time, rate(before.cpu, script.cpu_seconds, seconds) / tree.cpus);
    }
    known.before = { module: script.module, hits: script.hits, cpu: script.cpu_seconds, time: tree.time };
  }

  hits(name) { return this.scripts.get(name)?.hits; }
  shares(name) { return this.scripts.get(name)?.shares; }
  rate(name) { return this.hits(name)?.last ?? null; }
  share(name) { return this.shares(name)?.last ?? null; }
}

const page = {
  history: new History(),
  view: null,
  where: "",
  paused: false,
  timer: null,
  asking: false,
};

function route() {
  const [, kind, name, tab] = location.hash.split("/");
  if (kind === "script" && name) return { name: decoded(name), tab: tab ?? "" };
  return { name: "", tab: "" };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function navigate() {
  const { name, tab } = route();
  if (page.view && page.where === name && name) {
    page.view.show(tab);
  } else {
    page.view?.end();
    page.where = name;
    page.view = name ? new ScriptView(name, tab, page.history) : new Overview(page.history);
    document.getElementById("view").replaceChildren(page.view.element);
  }
  const where = document.getElementById("where");
  where.replaceChildren(h("a", { href: "#/" }, "scripts"), ...(name ? [h("a", { href: link(name) }, foreign(name))] : []));
  document.title = name ? `${shown(name)} – stapwatch` : "stapwatch";
  ask();
}

async function ask() {
  if (page.asking) {
    page.again = true;
    return;
  }
  clearTimeout(page.timer);
  page.asking = true;
  const { view } = page;
  const query = view.query ? `?${view.query}` : "";
  try {
    const response = await fetch(`/status${query}`, { cache: "no-store" });
    if (!response.ok) throw new Error(`${response.status}: ${(await response.text()).trim()}`);
    const tree = await response.json();
    page.history.add(tree);
    if (view === page.view) view.update(tree);
    notice(tree);
  } catch (error) {
    problems([`no answer from the agent: ${error.message}`]);
  }
  page.asking = false;
  const soon = page.again ? 0 : PACE;
  page.again = false;
  if (!page.paused && !document.hidden) page.timer = setTimeout(ask, soon);
}

function notice(tree) {
  setText(document.getElementById("agent"), `${tree.host} · ${tree.version} · ${tree.ready ? "ready" : "not ready"}`);
  problems([
    tree.disabled ? `stapwatch is off, no script is loaded: ${tree.disabled}` : "",
    tree.reload.error ? `not all of the configuration is in force:\n${tree.reload.error}` : "",
    tree.state_folder ? `no crash is remembered: ${tree.state_folder}` : "",
    ...(tree.stores ?? []).filter((store) => store.problem).map((store) => `store ${store.url}: ${store.problem}`),
  ]);
}

function problems(texts) {
  document.getElementById("notices").replaceChildren(
    ...texts.filter(Boolean).map((text) => h("p", {}, text.split("\n").map(shown).join("\n"))));
}

function pause() {
  page.paused = !page.paused;
  const button = document.getElementById("pause");
  button.setAttribute("aria-pressed", String(page.paused));
  setText(button, page.paused ? "go on" : "pause");
  if (!page.paused) ask();
}

function row(step) {
  const rows = [...document.querySelectorAll("tbody tr[tabindex]")];
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, at + step))].focus();
}

function pressed(event) {
  const typing = event.target.closest?.("input");
  if (event.key === "Escape" && typing) {
    typing.value = "";
    typing.dispatchEvent(new Event("input"));
    typing.blur();
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const tab = TABS[Number(event.key) - 1];
  const keys = {
    "/": () => document.querySelector("input[type=search]")?.focus(),
    o: () => { location.hash = "#/"; },
    p: pause,
    j: () => row(1),
    k: () => row(-1),
    "?": () => document.getElementById("help").showModal(),
  };
  const action = tab && page.where ? () => { location.hash = link(page.where, tab); } : keys[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

addEventListener("hashchange", navigate);
addEventListener("keydown", pressed);
document.addEventListener("visibilitychange", () => { if (!document.hidden && !page.paused) ask(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  page.view?.end();
  page.view = null;
  navigate();
});
document.getElementById("pause").addEventListener("click", pause);
document.getElementById("keys").addEventListener("click", () => document.getElementById("help").showModal());
navigate();
