// SPDX-License-Identifier: GPL-2.0-or-later
// A table that is sorted by its heads, filtered by a text, and keeps its rows while numbers change.
//
// new Table({label, columns, key, filter, open}).update(rows)
//   columns: {name, number, sort(row), cell(row) -> text or element, fixed}   `fixed`: the cell never changes
//   filter(row) -> the text that is searched; open(row): a click or Enter

import { h, setText } from "./dom.js";

const STEP = 100;  // rows more at once; a browser that lays out thousands is not usable

export class Table {
  constructor({ label, columns, key, filter, open, sorted = 0, most = STEP }) {
    Object.assign(this, { columns, key, filter, open, sorted, descending: Boolean(columns[sorted].number) });
    this.rows = [];
    this.most = most;
    this.lines = new Map();
    this.chosen = "";
    this.heads = columns.map((column, at) => this.head(column, at));
    this.body = h("tbody");
    this.count = h("span", { class: "quiet" });
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.showMore() }, "show more");
    this.search = h("input", { type: "search", placeholder: "filter: words, or label=value", "aria-label": `filter ${label}`,
      oninput: () => this.draw() });
    this.element = h("div", {},
      h("div", { class: "tools" }, filter ? this.search : null, this.count),
      h("div", { class: "scroll" },
        h("table", { "aria-label": label }, h("thead", {}, h("tr", {}, ...this.heads)), this.body)),
      this.more);
    this.mark();
  }

  head(column, at) {
    const inside = column.sort
      ? h("button", { type: "button", onclick: () => this.sort(at) }, column.name)
      : column.name;
    return h("th", { scope: "col", class: column.number ? "n" : "", title: column.title }, inside);
  }

  sort(at) {
    this.descending = this.sorted === at ? !this.descending : Boolean(this.columns[at].number);
    this.sorted = at;
    this.mark();
    this.draw();
  }

  mark() {
    this.heads.forEach((head, at) => {
      if (at === this.sorted) head.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }

  showMore() {
    this.most += STEP;
    this.draw();
  }

  update(rows) {
    this.rows = rows;
    this.draw();
  }

  matching() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length || !this.filter) return this.rows.slice();
    return this.rows.filter((row) => {
      const text = this.filter(row).toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }

  draw() {
    const found = this.matching();
    const { sort } = this.columns[this.sorted];
    const way = this.descending ? -1 : 1;
    if (sort) found.sort((a, b) => way * compare(sort(a), sort(b)) || compare(this.key(a), this.key(b)));
    const visible = found.slice(0, this.most);
    const lines = new Map();
    visible.forEach((row, at) => {
      const key = this.key(row);
      const line = this.lines.get(key) ?? this.line(key);
      lines.set(key, line);
      this.fill(line, row);
      if (this.body.children[at] !== line.element) this.body.insertBefore(line.element, this.body.children[at] ?? null);
    });
    for (const [key, line] of this.lines) if (!lines.has(key)) line.element.remove();
    this.lines = lines;
    this.more.hidden = found.length <= this.most;
    const all = this.rows.length;
    const some = visible.length < found.length ? `${visible.length} of ` : "";
    setText(this.count, found.length === all ? `${some}${all}` : `${some}${found.length} that match, of ${all}`);
  }

  line(key) {
    const cells = this.columns.map((c) => h("td", { class: [c.number ? "n" : "", c.className ?? ""].join(" ").trim() }));
    const line = { cells, row: null, fresh: true };
    line.element = h("tr", this.open ? { tabindex: 0, onclick: (e) => this.opened(e, key), onkeydown: (e) => this.pressed(e, key) } : {},
      ...cells);
    line.element.setAttribute("aria-selected", String(key === this.chosen));
    return line;
  }

  fill(line, row) {
    line.row = row;
    this.columns.forEach((column, at) => {
      if (column.fixed && !line.fresh) return;
      const content = column.cell(row);
      if (typeof content === "string") setText(line.cells[at], content);
      else line.cells[at].replaceChildren(content ?? "");
    });
    line.fresh = false;
  }

  opened(event, key) {
    if (event.target.closest("a, button") || String(getSelection())) return;
    this.choose(key);
  }

  pressed(event, key) {
    if (event.key !== "Enter" || event.target.closest("a, button")) return;
    event.preventDefault();
    this.choose(key);
  }

  choose(key) {
    this.chosen = key;
    for (const [other, line] of this.lines) line.element.setAttribute("aria-selected", String(other === key));
    const line = this.lines.get(key);
    if (line) this.open(line.row);
  }
}

function compare(a, b) {
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  return (a ?? -Infinity) - (b ?? -Infinity) || 0;
}
