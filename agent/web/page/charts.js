// SPDX-License-Identifier: GPL-2.0-or-later
// Lines over time (dygraphs, if it is installed), small lines in a row, and heatmaps.

import { colour, h, setText } from "./dom.js";

const COLOURS = 8;

// The library's legend writes HTML with styles in it, which this page does not allow; the names are below the chart.
if (window.Dygraph) window.Dygraph.PLUGINS = window.Dygraph.PLUGINS.filter((one) => one !== window.Dygraph.Plugins.Legend);

export class LineChart {
  // title: what is drawn; format(value): for the axis and the names
  constructor(title, format, small = false) {
    this.format = format;
    this.box = h("div", { class: small ? "chart small" : "chart" });
    this.note = h("p", { class: "quiet" });
    this.legend = h("ul", { class: "legend" });
    this.element = h("figure", { class: "panel", "aria-label": title }, h("h2", {}, title), this.box, this.legend, this.note);
    this.graph = null;
    this.names = "";
  }

  // times: seconds since 1970; series: [{name, values}], of the same length
  update(times, series) {
    if (!window.Dygraph) {
      this.box.hidden = true;
      setText(this.note, "no line charts: the package libjs-dygraphs is not installed on the host");
      return;
    }
    if (times.length < 2 || !series.length) {
      setText(this.note, series.length ? "waiting for a second reading …" : "nothing yet");
      return;
    }
    setText(this.note, "");
    this.rows = times.map((time, at) => [new Date(time * 1000), ...series.map((one) => one.values[at] ?? null)]);
    const labels = ["time", ...series.map((one) => one.name)];
    const names = labels.join("\u0000");
    if (this.graph && names === this.names) {
      this.graph.updateOptions({ file: this.rows });
    } else {
      this.names = names;
      this.graph?.destroy();
      this.entries = series.map((one, at) => entry(one.name, at));
      this.legend.replaceChildren(...this.entries);
      // two series of one name would be one
      this.graph = new window.Dygraph(this.box, this.rows, this.options(labels.map((name, at) => `${at} ${name}`)));
    }
    this.write(this.rows.length - 1);
  }

  // The values of one time, beside the names.
  write(at) {
    this.entries.forEach((one, number) => setText(one.lastChild, this.format(this.rows[at]?.[number + 1]) || "–"));
  }

  options(labels) {
    const format = (value) => this.format(value);
    return {
      labels,
      colors: labels.slice(1).map((_, at) => colour(`--series-${at % COLOURS}`)),
      strokeWidth: 1.6,
      includeZero: true,
      gridLineColor: colour("--line"),
      axisLineColor: colour("--line"),
      highlightCircleSize: 3,
      highlightCallback: (_, time, points, at) => this.write(at),
      unhighlightCallback: () => this.write(this.rows.length - 1),
      axes: { y: { axisLabelFormatter: format, axisLabelWidth: 62 } },
    };
  }

  end() {
    this.graph?.destroy();
    this.graph = null;
  }
}

function entry(name, at) {
  const mark = h("i", { "aria-hidden": "true" });
  mark.style.background = colour(`--series-${at % COLOURS}`);
  return h("li", {}, mark, h("bdi", {}, name), " ", h("span", { class: "quiet" }));
}

export function spark(canvas, values) {
  const context = sized(canvas);
  if (!context) return;
  const { width, height } = context.box;
  const top = Math.max(...values, 1e-9);
  context.strokeStyle = colour("--accent");
  context.lineWidth = 1.3;
  context.beginPath();
  values.forEach((value, at) => {
    const x = values.length > 1 ? (at / (values.length - 1)) * (width - 2) + 1 : 1;
    context.lineTo(x, height - 2 - (value / top) * (height - 4));
  });
  context.stroke();
}

// Time from left to right, buckets from below: how many fell into each.
export class Heatmap {
  constructor(title, format) {
    this.format = format;
    this.canvas = h("canvas", { class: "heat", role: "img", "aria-label": title });
    this.note = h("p", { class: "quiet" });
    this.element = h("figure", { class: "panel" }, h("h2", {}, title), this.canvas, this.note);
    this.canvas.addEventListener("mousemove", (event) => this.point(event));
    this.columns = [];
    this.bounds = [];
  }

  // columns: [{time, counts: [...]}], counts of the buckets of `bounds` (upper ones; null: no bound)
  update(columns, bounds) {
    this.columns = columns;
    this.bounds = bounds;
    const context = sized(this.canvas);
    if (!context) return;
    const { width, height } = context.box;
    context.clearRect(0, 0, width, height);
    const left = 64;
    const most = Math.max(1, ...columns.flatMap((column) => column.counts));
    const wide = (width - left) / Math.max(columns.length, 30);
    const high = height / Math.max(bounds.length, 1);
    const rgb = colour("--heat");
    columns.forEach((column, at) => {
      column.counts.forEach((count, bucket) => {
        if (!count) return;
        const strength = 0.08 + 0.92 * Math.sqrt(count / most);  // weak ones are seen beside strong ones
        context.fillStyle = `rgba(${rgb}, ${strength})`;
        context.fillRect(left + at * wide, height - (bucket + 1) * high, Math.ceil(wide), Math.ceil(high));
      });
    });
    context.fillStyle = colour("--quiet");
    context.font = "11px system-ui, sans-serif";
    const every = Math.max(1, Math.ceil(14 / high));
    bounds.forEach((bound, bucket) => {
      if (bucket % every) return;
      context.fillText(bound == null ? "more" : `≤ ${this.format(bound)}`, 2, height - bucket * high - 3);
    });
    this.wide = wide;
    this.high = high;
    this.left = left;
    if (!columns.length) setText(this.note, "nothing has been counted while this page looks");
    else if (this.note.dataset.pointed !== "yes") setText(this.note, `darkest: ${most.toLocaleString("en-US")} in one step`);
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = this.columns[Math.floor((event.clientX - box.left - this.left) / this.wide)];
    const bucket = Math.floor((box.bottom - event.clientY) / this.high);
    if (!column || column.counts[bucket] == null) return;
    const low = bucket > 0 ? this.format(this.bounds[bucket - 1]) : "";
    const high = this.bounds[bucket] == null ? "more" : this.format(this.bounds[bucket]);
    this.note.dataset.pointed = "yes";
    setText(this.note, `${column.counts[bucket].toLocaleString("en-US")} ${low ? `above ${low}, ` : ""}up to ${high}`);
  }
}

// A context whose unit is a CSS pixel, as large as the canvas is shown; null if it is not.
function sized(canvas) {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width || !height) return null;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.box = { width, height };
  return context;
}
