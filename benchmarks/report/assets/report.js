// Sorting, filtering, turning pages and saving of tables, kept in the address; the theme button. Everything is readable
// without it.
"use strict";

const PAGE = 100;

function themeButton() {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const label = () => {
    button.textContent = isDark() ? "Light theme" : "Dark theme";
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("gssl-theme", root.dataset.theme);
    } catch {
      // Without storage the choice lasts for this page.
    }
    label();
  });
  system.addEventListener("change", label);
  label();
  button.hidden = false;
}

// A row is [is a reference row, item, item, ...]; an item is [text, key, href, kind, note, small] without empty ends.
class DataTable {
  constructor(root) {
    this.root = root;
    this.rows = JSON.parse(root.querySelector("script.rows").textContent);
    this.heads = [...root.querySelectorAll("thead th")];
    this.bodies = [root.querySelector("tbody.own"), root.querySelector("tbody.references")];
    this.search = root.querySelector("[data-filter]");
    this.selects = [...root.querySelectorAll("select[data-column]")];
    this.pager = root.querySelector(".pager");
    this.page = 0;
    this.sort = null;
    // A page with one table has plain names in its address, otherwise the id of the table stands before them.
    this.prefix = document.querySelectorAll(".data").length > 1 ? `${root.id}.` : "";
    this.connect();
    const asked = this.restore();
    this.refresh(asked, this.page);
  }

  // What the address says of this table; whether it says anything.
  restore() {
    const address = new URLSearchParams(location.search);
    const value = (name) => address.get(this.prefix + name);
    this.search.value = value("q") ?? "";
    for (const select of this.selects) {
      const wanted = value(select.dataset.column);
      select.value = [...select.options].some((option) => option.value === wanted) ? wanted : "";
    }
    const [, direction, title] = /^(-?)(.*)$/s.exec(value("sort") ?? "");
    const column = title === "" ? -1 : this.heads.findIndex((head) => head.dataset.title === title);
    if (column >= 0) {
      this.order(column, direction === "-" ? "descending" : "ascending");
    }
    this.page = Math.max(Number.parseInt(value("page") ?? "1", 10) - 1 || 0, 0);
    return this.search.value !== "" || this.sort !== null || this.page > 0 || this.selects.some((s) => s.value !== "");
  }

  remember() {
    const url = new URL(location.href);
    const keep = (name, value) => {
      if (value) {
        url.searchParams.set(this.prefix + name, value);
      } else {
        url.searchParams.delete(this.prefix + name);
      }
    };
    keep("q", this.search.value);
    for (const select of this.selects) {
      keep(select.dataset.column, select.value);
    }
    keep("sort", this.sort && (this.sort.sign < 0 ? "-" : "") + this.heads[this.sort.column - 1].dataset.title);
    keep("page", this.page > 0 && String(this.page + 1));
    if (url.href !== location.href) {
      try {
        history.replaceState(null, "", url);
      } catch {
        // A browser may refuse that for files; the table works all the same.
      }
    }
  }

  connect() {
    this.heads.forEach((head, column) => {
      const button = head.querySelector("button.sort");
      button.disabled = false;
      button.addEventListener("click", () => this.sortBy(column));
    });
    for (const select of this.selects) {
      const column = this.heads.findIndex((head) => head.dataset.title === select.dataset.column);
      const values = [...new Set(this.rows.map((row) => row[column + 1][0]))].sort((a, b) => a.localeCompare(b));
      for (const value of values) {
        select.append(new Option(value, value));
      }
      select.dataset.index = String(column + 1);
      select.closest("label").hidden = values.length < 2;
      select.addEventListener("change", () => this.refresh());
    }
    this.search.addEventListener("input", () => this.refresh());
    for (const button of this.pager.querySelectorAll("button")) {
      button.addEventListener("click", () => {
        this.page += Number(button.dataset.step);
        this.draw();
        this.remember();
      });
    }
    this.root.querySelector(".csv").addEventListener("click", () => this.save());
    this.root.querySelector(".controls").hidden = this.rows.length < 5;
  }

  sortBy(column) {
    const head = this.heads[column];
    const before = head.getAttribute("aria-sort");
    const first = head.classList.contains("number") ? "descending" : "ascending";
    this.order(column, before === null ? first : before === "ascending" ? "descending" : "ascending");
    this.refresh();
  }

  order(column, direction) {
    for (const other of this.heads) {
      other.removeAttribute("aria-sort");
    }
    this.heads[column].setAttribute("aria-sort", direction);
    this.sort = { column: column + 1, sign: direction === "ascending" ? 1 : -1 };
  }

  refresh(redraw = true, page = 0) {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = this.selects.filter((select) => select.value !== "");
    this.shown = this.rows.filter((row) => {
      if (!chosen.every((select) => row[Number(select.dataset.index)][0] === select.value)) {
        return false;
      }
      if (words.length === 0) {
        return true;
      }
      const text = row.slice(1).map((item) => `${item[0]} ${item[5] ?? ""}`).join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    if (this.sort !== null) {
      const { column, sign } = this.sort;
      this.shown.sort((a, b) => compare(a[column], b[column], sign));
    }
    this.page = page;
    if (redraw || this.rows.length > PAGE) {
      this.draw();
    } else {
      this.say();
    }
    this.remember();
  }

  save() {
    const heads = this.heads.map((head) => head.dataset.title);
    const lines = this.shown.map((row) => row.slice(1).map((item) => (item[5] ? `${item[0]} (${item[5]})` : item[0])));
    const text = [heads, ...lines].map((line) => line.map(csvCell).join(",")).join("\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
    link.download = `${this.root.id}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  draw() {
    const own = this.shown.filter((row) => row[0] === 0);
    const references = this.shown.filter((row) => row[0] === 1);
    const pages = Math.max(Math.ceil(own.length / PAGE), Math.ceil(references.length / PAGE), 1);
    this.page = Math.min(Math.max(this.page, 0), pages - 1);
    const part = (rows) => rows.slice(this.page * PAGE, (this.page + 1) * PAGE);
    const numeric = this.heads.map((head) => head.classList.contains("number"));
    this.bodies[0].replaceChildren(...part(own).map((row) => rowOf(row, numeric)));
    this.bodies[1].replaceChildren(...part(references).map((row) => rowOf(row, numeric)));
    this.pager.hidden = pages === 1;
    this.pager.querySelector("span").textContent = `page ${this.page + 1} of ${pages}`;
    const [back, on] = this.pager.querySelectorAll("button");
    back.disabled = this.page === 0;
    on.disabled = this.page === pages - 1;
    this.say();
  }

  say() {
    this.root.querySelector(".count").textContent = `${this.shown.length} of ${this.rows.length} rows`;
  }
}

// Quoted where it must be, and with an apostrophe where a spreadsheet would take a text for a formula.
function csvCell(text) {
  const safe = /^[=+\-@\t\r\n]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

// What has no key comes last in both directions.
function compare(a, b, sign) {
  const [left, right] = [keyOf(a), keyOf(b)];
  if (left === null || right === null) {
    return left === right ? 0 : left === null ? 1 : -1;
  }
  if (typeof left === "number" && typeof right === "number") {
    return sign * (left - right);
  }
  return sign * String(left).localeCompare(String(right), undefined, { numeric: true });
}

function keyOf(item) {
  if (item[1] !== undefined && item[1] !== null) {
    return item[1];
  }
  return item[0] === "–" ? null : item[0];
}

function rowOf(row, numeric) {
  const line = document.createElement("tr");
  row.slice(1).forEach(([text, , href, kind, note, small], column) => {
    const cell = document.createElement(column === 0 ? "th" : "td");
    if (column === 0) {
      cell.scope = "row";
    }
    if (kind) {
      cell.className = kind;
    }
    cell.classList.toggle("number", numeric[column]);
    if (href) {
      const link = document.createElement("a");
      link.href = href;
      link.textContent = text;
      cell.append(link);
    } else {
      cell.textContent = text;
    }
    if (note) {
      const remark = document.createElement("span");
      remark.className = "note";
      remark.textContent = note;
      cell.append(remark);
    }
    if (small) {
      const below = document.createElement("span");
      below.className = "small";
      below.textContent = small;
      cell.append(below);
    }
    line.append(cell);
  });
  return line;
}

function copyButtons() {
  for (const block of document.querySelectorAll("pre.command")) {
    if (!navigator.clipboard) {
      return;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.textContent);
      button.textContent = "Copied";
    });
    block.after(button);
  }
}

themeButton();
copyButtons();
for (const root of document.querySelectorAll(".data")) {
  new DataTable(root);
}
