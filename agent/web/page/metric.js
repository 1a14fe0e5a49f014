// SPDX-License-Identifier: GPL-2.0-or-later
// One metric of a script: a table of its elements, the fastest over time, and where it has buckets, a heatmap.

import { Heatmap, LineChart } from "./charts.js";
import { foreign, h, setText, shown } from "./dom.js";
import { inUnit, short, whole } from "./format.js";
import { aligned, exported, keep, MetricReadings, quantile } from "./readings.js";
import { Table } from "./table.js";

const DRAWN = 6;  // elements with a line
const ROWS = 15;  // of the table, at first

export class MetricView {
  constructor(metric) {
    this.metric = metric;
    this.readings = new MetricReadings();
    this.times = [];
    const format = (value) => inUnit(value, metric.unit);
    this.note = h("p", { class: "quiet" });
    this.number = metric.labels.length || metric.type === "info" ? null : h("p", { class: "number" });
    this.table = new Table({
      label: metric.family,
      key: (row) => row.id,
      filter: metric.labels.length ? (row) => row.words : null,
      open: (row) => this.choose(row),
      most: ROWS,
      sorted: metric.labels.length + (metric.type === "gauge" || metric.type === "info" ? 0 : 1),
      columns: [...metric.labels.map((name, at) => label(name, at)), ...numbers(metric, format)],
    });
    const isGauge = metric.type === "gauge";
    this.lines = metric.type === "info" ? null : new LineChart(isGauge ? "value" : "a second", isGauge ? format : short, true);
    this.heat = metric.type === "histogram" ? new Heatmap("how many in each bucket, of all", format) : null;
    const constant = Object.entries(metric.constant).map(([name, value]) => `${name}="${shown(value)}"`).join(" ");
    this.element = h("section", { class: "panel", id: `metric-${metric.global}` },
      h("h2", {}, shown(metric.family), " ", h("span", { class: "quiet" }, [metric.type, metric.unit, constant].filter(Boolean).join(" · "))),
      h("p", { class: "quiet" }, shown(metric.help)),
      this.number,
      h("div", { class: "panels" }, this.lines?.element, this.heat?.element),
      this.note,
      metric.labels.length || metric.type === "info" ? this.table.element : null);
  }

  update(metric, time) {
    this.metric = metric;
    const rows = this.readings.add(metric, time);
    keep(this.times, time);
    for (const row of rows) row.words = metric.labels.map((name, at) => `${name}=${shown(row.key[at])}`).join(" ");
    this.rows = rows;
    this.table.update(rows);
    if (this.number && rows.length) this.number.replaceChildren(...sentence(metric, rows[0]));
    const left = metric.elements - metric.keys.length;
    setText(this.note, left > 0 ? `the largest ${whole(metric.keys.length)} of ${whole(metric.elements)} elements; all are in /metrics` : "");
    this.draw();
  }

  draw() {
    const rows = this.rows ?? [];
    const size = (row) => row.rate ?? row.value ?? 0;
    const top = rows.slice().sort((a, b) => size(b) - size(a)).slice(0, DRAWN);
    this.lines?.update(this.times, top.map((row) => ({
      name: row.key.map(shown).join(" ") || this.metric.global,
      values: aligned(this.readings.tracks.get(row.id), this.times),
    })));
    const bounds = this.readings.bounds.map((bound) => exported(this.metric, bound));
    this.heat?.update(this.readings.columns.get(this.readings.chosen) ?? [], bounds);
  }

  choose(row) {
    if (!this.heat) return;
    const again = this.readings.chosen === row.id;
    this.readings.chosen = again ? "" : row.id;
    if (again) this.table.chosen = "";
    const what = again ? "all" : row.key.map(shown).join(" ");
    setText(this.heat.element.querySelector("h2"), `how many in each bucket, of ${what}`);
    this.draw();
  }

  end() {
    this.lines?.end();
  }
}

function label(name, at) {
  return { name: shown(name), fixed: true, sort: (row) => row.key[at], cell: (row) => foreign(row.key[at] ?? "") };
}

function numbers(metric, format) {
  const rate = { name: "/s", number: true, sort: (r) => r.rate, cell: (r) => short(r.rate) };
  const mean = { name: "mean", number: true, sort: (r) => r.mean, cell: (r) => format(r.mean) };
  const below = (name, share) => {
    const found = (row) => exported(metric, quantile(share, row.buckets, metric.bounds ?? []));
    return { name, number: true, title: "of all since the start, from the buckets", sort: found, cell: (r) => format(found(r)) };
  };
  switch (metric.type) {
    case "info":
      return [{ name: "value", className: "wide", cell: (r) => foreign(r.text) }];
    case "gauge":
      return [{ name: "value", number: true, sort: (r) => r.value, cell: (r) => exact(r.value, format) }];
    case "counter":
      return [{ name: "total", number: true, sort: (r) => r.value, cell: (r) => exact(r.value, format) }, rate];
    case "summary":
      return [{ name: "count", number: true, sort: (r) => r.value, cell: (r) => whole(r.value) }, rate, mean];
    default:
      return [{ name: "count", number: true, sort: (r) => r.value, cell: (r) => whole(r.value) }, rate, mean,
        below("50 %", 0.5), below("99 %", 0.99)];
  }
}

// What the table of a metric without labels would say.
function sentence(metric, row) {
  const format = (value) => inUnit(value, metric.unit);
  const rate = row.rate == null ? "" : ` ${short(row.rate)} a second`;
  const mean = row.mean == null ? "" : `, mean ${format(row.mean)}`;
  return [exact(row.value, metric.type === "gauge" || metric.type === "counter" ? format : whole), h("span", { class: "quiet" }, rate + mean)];
}

// A number for people, with the whole one for programs and at the pointer.
function exact(value, format) {
  return h("data", { value, title: value }, format(value));
}
