// SPDX-License-Identifier: GPL-2.0-or-later
// All scripts: their states, rates, costs and losses.

import { LineChart, spark } from "./charts.js";
import { foreign, h, shown } from "./dom.js";
import { bytes, duration, percent, short, whole } from "./format.js";
import { aligned } from "./readings.js";
import { Table } from "./table.js";

const DRAWN = 8;  // scripts with a line in the charts

export class Overview {
  constructor(history) {
    this.history = history;
    this.sparks = new Map();
    this.hits = new LineChart("hits a second", short);
    this.shares = new LineChart("share of all CPUs' time", percent);
    this.table = new Table({
      label: "scripts",
      key: (row) => row.name,
      filter: (row) => `${row.name} state=${row.state} ${row.why}`,
      open: (row) => { location.hash = link(row.name); },
      sorted: 1,
      columns: [
        { name: "script", sort: (r) => r.name, fixed: true, cell: (r) => h("a", { href: link(r.name) }, foreign(r.name)) },
        { name: "state", sort: (r) => ORDER.indexOf(r.state), cell: (r) => state(r.state) },
        { name: "hits/s", number: true, sort: (r) => r.rate, cell: (r) => short(r.rate) },
        { name: "", fixed: true, cell: (r) => this.canvas(r.name) },
        { name: "a hit", number: true, title: "mean cost of a hit since the module was started", sort: (r) => r.cost_ns,
          cell: (r) => duration(r.cost_ns == null ? null : r.cost_ns / 1e9) },
        { name: "CPUs", number: true, title: "share of the time of all CPUs", sort: (r) => r.share, cell: (r) => percent(r.share) },
        { name: "errors", number: true, sort: (r) => r.errors, cell: (r) => whole(r.errors) },
        { name: "lost", number: true, title: "hits, updates and records that are lost", sort: (r) => r.lost,
          cell: (r) => h("span", { class: r.lost ? "lost" : "" }, whole(r.lost)) },
        { name: "series", number: true, sort: (r) => r.series, cell: (r) => whole(r.series) },
        { name: "kernel memory", number: true, sort: (r) => r.memory_bytes, cell: (r) => bytes(r.memory_bytes) },
        { name: "since", number: true, sort: (r) => r.since, cell: (r) => duration(r.age) },
        { name: "why", className: "wide", cell: (r) => shown(r.why) },
      ],
    });
    this.element = h("div", {},
      h("h1", {}, "scripts"),
      h("section", { class: "panel" }, this.table.element),
      h("div", { class: "panels" }, this.hits.element, this.shares.element));
  }

  canvas(name) {
    const canvas = h("canvas", { class: "spark", "aria-hidden": "true" });
    this.sparks.set(name, canvas);
    return canvas;
  }

  update(tree) {
    const rows = tree.scripts.map((script) => ({
      ...script,
      rate: this.history.rate(script.name),
      share: this.history.share(script.name),
      age: tree.time - script.since,
      why: reasons(script).join("; "),
    }));
    const names = new Set(rows.map((row) => row.name));
    const off = tree.rollout.filter((entry) => !names.has(entry.name))
      .map((entry) => ({ name: entry.name, state: entry.state, why: entry.reason ?? "" }));
    this.table.update([...rows, ...off]);
    for (const [name, canvas] of this.sparks) spark(canvas, this.history.hits(name)?.values ?? []);
    const top = rows.slice().sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0)).slice(0, DRAWN);
    this.draw(this.hits, top, (name) => this.history.hits(name));
    this.draw(this.shares, top, (name) => this.history.shares(name));
  }

  draw(chart, rows, track) {
    const times = this.history.times;
    chart.update(times, rows.map((row) => ({ name: shown(row.name), values: aligned(track(row.name), times) })));
  }

  end() {
    this.hits.end();
    this.shares.end();
  }
}

// The worst first.
const ORDER = ["failed", "quarantined", "disarmed", "outdated", "disarmed_by_operator", "paused", "compiling",
  "waiting", "exited", "running", "off"];

// The sentences about a script.
export function reasons(script) {
  const waiting = (script.waiting ?? []).map((what) => `waits: ${what}`);
  const older = script.older_compiler &&
    `its module is of compiler ${script.compiler}; to replace it: stapwatch reload --recompile`;
  return [script.reason, ...script.problems, ...waiting, older].filter(Boolean);
}

export function state(name) {
  return h("span", { class: `state ${ORDER.includes(name) ? name : ""}` }, name.replaceAll("_", " "));
}

export function link(name, tab = "") {
  return `#/script/${encodeURIComponent(name)}${tab ? `/${tab}` : ""}`;
}
