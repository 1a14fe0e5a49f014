// SPDX-License-Identifier: GPL-2.0-or-later
// One script: its metrics, hooks, text, log and facts, each in a tab.

import { LineChart } from "./charts.js";
import { foreign, h, setText, shown } from "./dom.js";
import { bytes, clock, duration, percent, short, whole } from "./format.js";
import { MetricView } from "./metric.js";
import { link, reasons, state } from "./overview.js";
import { aligned, rate } from "./readings.js";
import { Table } from "./table.js";

export const TABS = ["metrics", "hooks", "source", "log", "facts"];

export class ScriptView {
  constructor(name, tab, history) {
    this.name = name;
    this.history = history;
    this.hooks = new Map();  // by number of the probe: hits and time of the reading before
    this.head = h("h1");
    this.strip = h("dl", { class: "facts panel" });
    this.losses = h("div");
    this.links = TABS.map((one) => h("a", { href: link(name, one) }, one));
    this.tabs = { metrics: new Metrics(history, name), hooks: new Hooks(), source: new Source(), log: new Log(), facts: new Facts() };
    this.body = h("div");
    this.element = h("div", {}, this.head, this.strip, this.losses,
      h("nav", { class: "tabs", "aria-label": "of this script" }, ...this.links), this.body);
    this.show(tab);
  }

  show(tab) {
    this.tab = TABS.includes(tab) ? tab : TABS[0];
    this.links.forEach((one) => {
      if (one.textContent === this.tab) one.setAttribute("aria-current", "page");
      else one.removeAttribute("aria-current");
    });
    this.body.replaceChildren(this.tabs[this.tab].element);
    if (this.last) this.tabs[this.tab].update(this.last, this.time, true);
  }

  // What to ask for: only what the tab shows.
  get query() {
    const parts = { metrics: "values", source: this.tabs.source.revision == null ? "text" : "", log: "lines" }[this.tab] ?? "";
    const query = new URLSearchParams({ script: this.name });
    if (parts) query.set("parts", parts);
    if (parts === "lines") query.set("lines_after", this.tabs.log.last);
    return query;
  }

  update(tree) {
    const script = tree.scripts[0] ?? this.absent(tree);
    if (this.tabs.source.revision != null && this.tabs.source.revision !== script.revision) this.tabs.source.revision = null;
    this.last = script;
    this.time = tree.time;
    this.head.replaceChildren(foreign(script.name), state(script.state), h("span", { class: "quiet" }, shown(script.source ?? "")));
    this.draw(script, tree.time);
    this.rates(script, tree.time);
    this.tabs[this.tab].update(script, tree.time);
  }

  absent(tree) {
    const entry = tree.rollout[0] ?? { state: "off", reason: "" };
    return { name: this.name, state: entry.state, reason: entry.reason, problems: [], hooks: [], metrics: [], losses_by_reason: [] };
  }

  draw(script, time) {
    const budget = script.budgets ?? {};
    const of = (value, limit) => (limit == null ? value : `${value} of ${limit}`);
    fill(this.strip, [
      ["hits a second", short(this.history.rate(this.name))],
      ["hits", whole(script.hits)],
      ["a hit", duration(script.cost_ns == null ? null : script.cost_ns / 1e9)],
      ["CPUs", of(percent(this.history.share(this.name)), budget.cpu_share == null ? null : percent(budget.cpu_share))],
      ["errors", whole(script.errors)],
      ["lost", whole(script.lost)],
      ["series", of(whole(script.series), budget.series == null ? null : whole(budget.series))],
      ["kernel memory", bytes(script.memory_bytes)],
      ["since", duration(script.since == null ? null : time - script.since)],
      ["revision", script.revision],
    ]);
    const lost = (script.losses_by_reason ?? []).filter((loss) => loss.count);
    this.losses.replaceChildren(
      ...reasons(script).map((text) => h("p", { class: "lost" }, shown(text))),
      ...lost.map((loss) => h("p", { class: "lost" }, `${whole(loss.count)} × ${loss.reason} (${loss.of}): ${shown(loss.text)}`)),
      ...(script.complete === false ? [h("p", { class: "lost" }, "the series are not complete")] : []));
  }

  // Of each hook between two readings.
  rates(script, time) {
    const now = new Map();
    (script.hooks ?? []).forEach((hook, number) => {
      const before = this.hooks.get(number);
      const same = before && before.probe === hook.probe;
      hook.rate = same ? rate(before.hits, hook.hits, time - before.time) : null;
      now.set(number, { probe: hook.probe, hits: hook.hits, time });
    });
    this.hooks = now;
  }

  end() {
    this.tabs.metrics.end();
  }
}

function budget(name, value) {
  if (Array.isArray(value)) return value.join(", ");
  if (name.endsWith("_share")) return percent(value);
  if (name.endsWith("_ns")) return duration(value / 1e9);
  return typeof value === "number" ? whole(value) : value;
}

function fill(list, pairs) {
  if (list.children.length !== pairs.length)
    list.replaceChildren(...pairs.map(([name]) => h("div", {}, h("dt", {}, name), h("dd"))));
  pairs.forEach(([, value], at) => setText(list.children[at].lastChild, value == null || value === "" ? "–" : String(value)));
}

class Metrics {
  constructor(history, name) {
    this.history = history;
    this.name = name;
    this.views = new Map();
    this.hits = new LineChart("hits a second", short, true);
    this.share = new LineChart("share of all CPUs' time", percent, true);
    this.list = h("div");
    this.numbers = h("div", { class: "panels" });  // metrics without labels
    this.element = h("div", {}, this.numbers, this.list, h("div", { class: "panels" }, this.hits.element, this.share.element));
  }

  update(script, time, again = false) {
    if (again) return;
    const shape = (metric) => JSON.stringify([metric.family, metric.type, metric.labels, metric.constant]);
    const views = new Map();
    for (const metric of script.values ?? []) {
      const id = shape(metric);
      const view = this.views.get(id) ?? new MetricView(metric);
      views.set(id, view);
      if (!view.element.parentNode) (view.number ? this.numbers : this.list).append(view.element);
      view.update(metric, time);
    }
    if (script.values) {
      for (const [id, view] of this.views) if (!views.has(id)) { view.end(); view.element.remove(); }
      this.views = views;
    }
    const times = this.history.times;
    this.hits.update(times, [{ name: "hits/s", values: aligned(this.history.hits(this.name), times) }]);
    this.share.update(times, [{ name: "share", values: aligned(this.history.shares(this.name), times) }]);
  }

  end() {
    for (const view of this.views.values()) view.end();
    this.hits.end();
    this.share.end();
  }
}

class Hooks {
  constructor() {
    const number = (name, key, cell = (r) => whole(r[key])) => ({ name, number: true, sort: (r) => r[key], cell });
    this.table = new Table({
      label: "hooks",
      key: (row) => String(row.number),
      filter: (row) => `${row.probe} hook=${row.hook}`,
      sorted: 4,
      columns: [
        { name: "probe", sort: (r) => r.probe, fixed: true, cell: (r) => foreign(r.probe) },
        { name: "hook", sort: (r) => r.hook, cell: (r) => r.hook },
        { name: "attached", number: true, sort: (r) => r.attached, cell: (r) => `${whole(r.attached)} of ${whole(r.functions)}` },
        number("hits/s", "rate", (r) => short(r.rate)),
        number("hits", "hits"),
        number("a hit", "cost_ns", (r) => duration(r.cost_ns == null ? null : r.cost_ns / 1e9)),
        number("CPU time", "cpu_seconds", (r) => duration(r.cpu_seconds)),
        number("skipped", "skipped"),
        number("missed", "missed"),
        number("errors", "errors"),
        { name: "where", sort: (r) => r.location, fixed: true, cell: (r) => shown(r.location) },
        { name: "not attached", className: "wide", cell: (r) => shown([
          ...r.refused.map((one) => `${one.function}: ${one.reason}`), ...r.waiting.map((what) => `waits: ${what}`)].join("; ")) },
      ],
    });
    this.element = h("section", { class: "panel" }, this.table.element);
  }

  update(script) {
    this.table.update((script.hooks ?? []).map((hook, number) => ({ ...hook, number })));
  }
}

// The text, with what the handlers of each line have done beside it.
class Source {
  constructor() {
    this.revision = null;
    this.note = h("p", { class: "quiet" });
    this.body = h("tbody");
    this.element = h("div", {}, this.note, h("div", { class: "source" },
      h("table", { "aria-label": "the script's text" },
        h("thead", {}, h("tr", {}, ...["hits", "of the cost", "", ""].map((name) => h("th", { scope: "col" }, name)))), this.body)));
    this.lines = [];
  }

  update(script) {
    if (script.text !== undefined && this.revision == null) {
      this.revision = script.revision ?? "";
      this.write(script.text ?? "");
      setText(this.note, script.text_problem ?? "");
    }
    const byLine = new Map();
    const total = (script.hooks ?? []).reduce((sum, hook) => sum + hook.cpu_seconds, 0);
    for (const hook of script.hooks ?? []) {
      const line = lineOf(hook.location);
      const sum = byLine.get(line) ?? { hits: 0, cpu: 0 };
      byLine.set(line, { hits: sum.hits + hook.hits, cpu: sum.cpu + hook.cpu_seconds });
    }
    const wrong = new Set((script.recent_errors ?? []).map((error) => lineOf(error.location)));
    this.lines.forEach((row, at) => {
      const found = byLine.get(at + 1);
      row.classList.toggle("probe", Boolean(found));
      row.classList.toggle("wrong", wrong.has(at + 1));
      setText(row.children[0], found ? whole(found.hits) : "");
      setText(row.children[1], found && total ? percent(found.cpu / total) : "");
    });
  }

  write(text) {
    this.lines = text.replace(/\n$/, "").split("\n").map((line, at) => h("tr", {},
      h("td", { class: "n" }), h("td", { class: "n" }), h("td", { class: "n" }, String(at + 1)),
      h("td", {}, line.split("\t").map(shown).join("\t"))));
    this.body.replaceChildren(...this.lines);
  }
}

// "vfs.stp:3:1" -> 3
function lineOf(location) {
  const parts = (location ?? "").split(":");
  return Number(parts[parts.length - 2]);
}

class Log {
  constructor() {
    this.last = 0;
    this.body = h("tbody");
    this.note = h("p", { class: "quiet" }, "the last lines since the agent started; all of them are in the journal");
    this.element = h("section", { class: "panel log" }, this.note,
      h("div", { class: "scroll" }, h("table", { "aria-label": "log" }, this.body)));
  }

  update(script) {
    const lines = script.lines ?? [];
    if (lines.length && lines[0].number < this.last) this.body.replaceChildren();  // another agent's
    const nearEnd = innerHeight + scrollY > document.body.scrollHeight - 80;
    for (const line of lines) {
      if (line.number <= this.last && this.body.children.length) continue;
      this.body.append(h("tr", { class: line.level },
        h("td", { class: "quiet" }, clock(line.timestamp)), h("td", { class: "quiet" }, shown(line.probe)),
        h("td", { class: "text" }, foreign(line.text))));
    }
    if (lines.length) this.last = lines[lines.length - 1].number;
    while (this.body.children.length > 500) this.body.firstChild.remove();
    if (lines.length && nearEnd) scrollTo(0, document.body.scrollHeight);
  }
}

class Facts {
  constructor() {
    this.list = h("dl", { class: "facts" });
    this.tables = new Table({
      label: "globals",
      key: (row) => row.global,
      filter: (row) => `${row.global} ${row.family}`,
      columns: [
        { name: "global", sort: (r) => r.global, fixed: true, cell: (r) => foreign(r.global) },
        { name: "exported as", sort: (r) => r.family, cell: (r) => shown(r.family || "not exported") },
        { name: "type", sort: (r) => r.type, cell: (r) => r.type },
        { name: "labels", cell: (r) => shown(r.labels.join(", ")) },
        { name: "series", number: true, sort: (r) => r.series, cell: (r) => whole(r.series) },
        { name: "elements", number: true, sort: (r) => r.elements,
          cell: (r) => (r.slots == null ? "" : `${whole(r.elements)} of ${whole(r.slots)}`) },
        { name: "when full", cell: (r) => r.when_full },
        { name: "memory", number: true, sort: (r) => r.memory_bytes, cell: (r) => bytes(r.memory_bytes) },
      ],
    });
    this.errors = h("div");
    this.element = h("div", {}, h("section", { class: "panel" }, this.list),
      h("section", { class: "panel" }, h("h2", {}, "globals"), this.tables.element), this.errors);
  }

  update(script) {
    const budgets = Object.entries(script.budgets ?? {}).filter(([, value]) => value != null)
      .map(([name, value]) => [`budget ${name.replaceAll("_", " ")}`, budget(name, value)]);
    fill(this.list, [
      ["module", script.module], ["identity", script.identity], ["kernel", script.kernel], ["ABI", script.abi],
      ["state of the module", script.module_state], ["compiler", script.compiler], ["variant", script.variant],
      ["compiled in", duration(script.compile_seconds)], ["loaded in", duration(script.load_seconds)],
      ["ring of each CPU", bytes(script.ring_bytes)], ["disarmed", script.disarmed ? `${script.disarmed.times} times` : ""],
      ...budgets,
    ]);
    this.tables.update(script.metrics ?? []);
    this.errors.replaceChildren(...(script.recent_errors ?? []).map((error) =>
      h("p", { class: "lost" }, `${clock(error.timestamp)} ${whole(error.count)} × ${shown(error.text)}`)));
  }
}
