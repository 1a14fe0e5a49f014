// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers, durations and times for people.

const STEPS = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

function digits(value) {
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return String(Number(value.toFixed(1)));
  return String(Number(value.toFixed(2)));
}

// 1234567 -> "1.23 M"
export function short(value) {
  if (value == null || !Number.isFinite(value)) return "";
  const size = Math.abs(value);
  for (const [step, letter] of STEPS) if (size >= step) return `${digits(value / step)} ${letter}`;
  if (size === 0 || size >= 0.01) return digits(value);
  return value.toExponential(1);
}

// 1234567 -> "1,234,567"
export function whole(value) {
  return value == null ? "" : Math.round(value).toLocaleString("en-US");
}

// in seconds
export function duration(value) {
  if (value == null || !Number.isFinite(value)) return "";
  const size = Math.abs(value);
  if (size === 0) return "0 s";
  if (size < 1e-6) return `${digits(value * 1e9)} ns`;
  if (size < 1e-3) return `${digits(value * 1e6)} µs`;
  if (size < 1) return `${digits(value * 1e3)} ms`;
  if (size < 120) return `${digits(value)} s`;
  if (size < 7200) return `${digits(value / 60)} min`;
  if (size < 172800) return `${digits(value / 3600)} h`;
  return `${digits(value / 86400)} d`;
}

export function bytes(value) {
  if (value == null) return "";
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (Math.abs(value) >= 1024 && at < names.length - 1) { value /= 1024; at += 1; }
  return `${digits(value)} ${names[at]}`;
}

export function percent(value) {
  if (value == null) return "";
  if (value !== 0 && Math.abs(value) < 0.0001) return "< 0.01 %";
  return `${digits(value * 100)} %`;
}

// The value of a metric, by its unit as Prometheus has it.
export function inUnit(value, unit) {
  if (value == null) return "";
  if (unit === "seconds") return duration(value);
  if (unit === "bytes") return bytes(value);
  if (unit === "ratio") return percent(value);
  return Number.isInteger(value) && Math.abs(value) < 1e6 ? whole(value) : short(value);
}

// seconds since 1970 -> "14:03:59.123"
export function clock(seconds) {
  const date = new Date(seconds * 1000);
  const two = (n, width = 2) => String(n).padStart(width, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.` +
    two(date.getMilliseconds(), 3);
}
