// SPDX-License-Identifier: GPL-2.0-or-later
// What the agent has answered lately, and what follows from two answers: rates, and what fell into buckets.

const MOST = 180;  // readings: six minutes at a reading every two seconds
const EACH = 200;  // elements of a metric that are all followed; of more, the fastest
const FASTEST = 20;
const HEATMAPS = 30;  // elements with columns of their own, which are large

// Add to a list of readings, which forgets the oldest.
export function keep(list, value) {
  list.push(value);
  if (list.length > MOST) list.shift();
}

// Numbers over time, for one thing that counts.
export class Track {
  constructor() {
    this.times = [];
    this.values = [];
  }

  add(time, value) {
    keep(this.times, time);
    keep(this.values, value);
  }

  get last() {
    return this.values.length ? this.values[this.values.length - 1] : null;
  }
}

// A counter's rate between two readings; after a reset it has counted from 0.
export function rate(before, now, seconds) {
  if (before == null || now == null || !(seconds > 0)) return null;
  return (now >= before ? now - before : now) / seconds;
}

// A track's values at these times; null where it has none.
export function aligned(track, times) {
  if (!track) return times.map(() => null);
  const known = new Map(track.times.map((time, at) => [time, track.values[at]]));
  return times.map((time) => known.get(time) ?? null);
}

// The exported number of one of the script's own; null of none.
export function exported(metric, number) {
  return number == null ? null : (number * metric.multiply) / metric.divide;
}

export function keyOf(key) {
  return JSON.stringify(key);
}

// One metric of one script, over the readings: each element's number, rate and buckets.
export class MetricReadings {
  constructor() {
    this.time = null;
    this.before = new Map();
    this.tracks = new Map();  // by element: what the line chart draws
    this.columns = new Map();  // by element and "" for all: columns of the heatmap
    this.bounds = [];
    this.chosen = "";  // the id of the element that is looked at; "" for all
  }

  // -> rows: {id, key, labels, value, rate, ...} in no order
  add(metric, time) {
    const seconds = this.time == null ? null : time - this.time;
    this.follow(metric);
    const rows = metric.keys.map((key, at) => this.row(metric, key, metric.values[at], seconds));
    for (const row of this.followed(metric, rows)) this.draw(metric, row, time);
    if (metric.type === "histogram" && seconds != null) this.drawAll(rows, time);
    this.before = new Map(rows.map((row) => [row.id, row]));
    for (const id of this.tracks.keys()) if (!this.before.has(id)) this.tracks.delete(id);
    for (const id of this.columns.keys()) if (id !== "" && !this.before.has(id)) this.columns.delete(id);
    this.time = time;
    return rows;
  }

  // Those whose numbers are kept over time.
  followed(metric, rows) {
    if (rows.length <= EACH) return rows;
    const size = (row) => row.rate ?? row.value ?? 0;
    return rows.filter((row) => row.id === this.chosen)
      .concat(rows.slice().sort((a, b) => size(b) - size(a)).slice(0, FASTEST).filter((row) => row.id !== this.chosen));
  }

  // Buckets that were empty until now are sent from now on: what there is gets zeros for them.
  follow(metric) {
    const bounds = metric.bounds ?? [];
    if (keyOf(bounds) === keyOf(this.bounds)) return;
    const at = bounds.map((bound) => this.bounds.indexOf(bound));
    const moved = (counts) => at.map((from) => (from < 0 ? 0 : counts[from]));
    for (const columns of this.columns.values()) for (const column of columns) column.counts = moved(column.counts);
    for (const row of this.before.values()) row.buckets = moved(row.buckets);
    this.bounds = bounds;
  }

  row(metric, key, value, seconds) {
    const row = { id: keyOf(key), key, value: null, rate: null };
    const before = this.before.get(row.id);
    switch (metric.type) {
      case "histogram": {
        const [buckets, sum] = value;
        row.buckets = buckets;
        row.value = buckets.reduce((a, b) => a + b, 0);
        row.sum = exported(metric, sum);
        row.grown = buckets.map((count, at) => Math.max(0, count - (before?.buckets[at] ?? (seconds == null ? count : 0))));
        break;
      }
      case "summary":
        [row.value] = value;
        row.sum = exported(metric, value[1]);
        break;
      case "info":
        row.text = value;
        return row;
      default:
        row.value = exported(metric, value);
    }
    if (metric.type !== "gauge") row.rate = rate(before ? before.value : seconds == null ? null : 0, row.value, seconds);
    row.mean = row.sum != null && row.value ? row.sum / row.value : null;
    return row;
  }

  draw(metric, row, time) {
    const value = metric.type === "gauge" ? row.value : row.rate;
    if (value != null) this.track(row.id).add(time, value);
    const heats = row.id === this.chosen || metric.keys.length <= HEATMAPS;
    if (row.grown && heats && this.time != null) this.column(row.id, time, row.grown);
  }

  drawAll(rows, time) {
    const sums = this.bounds.map((_, at) => rows.reduce((sum, row) => sum + row.grown[at], 0));
    this.column("", time, sums);
  }

  track(id) {
    if (!this.tracks.has(id)) this.tracks.set(id, new Track());
    return this.tracks.get(id);
  }

  column(id, time, counts) {
    if (!this.columns.has(id)) this.columns.set(id, []);
    keep(this.columns.get(id), { time, counts });
  }
}

// The value below which a share of what fell into the buckets lies, by lines inside of a bucket, as Prometheus does.
export function quantile(share, counts, bounds) {
  const total = counts.reduce((a, b) => a + b, 0);
  if (!total) return null;
  let seen = 0;
  for (let at = 0; at < counts.length; at += 1) {
    if (seen + counts[at] >= share * total && counts[at]) {
      if (bounds[at] == null) return bounds[at - 1] ?? null;
      const low = at > 0 ? bounds[at - 1] : Math.min(0, bounds[at]);
      return low + ((share * total - seen) / counts[at]) * (bounds[at] - low);
    }
    seen += counts[at];
  }
  return bounds[bounds.length - 1] ?? null;
}
