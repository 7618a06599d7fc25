// What pages do: draw charts, switch their views, and search, sort and filter tables. Data comes from the page or from
// a script file beside it, never from a network, and reaches the page as text, never as markup.
"use strict";
(() => {
  // Pixels of a row: 2.25 times the size of the reader's text, as in pulse.css.
  const ROW = 2.25 * parseFloat(getComputedStyle(document.documentElement).fontSize);
  const SPARE = 12;          // rows drawn beyond those in view, so that tabbing and scrolling find some
  const DRAWABLE = 400000;   // rows: browsers give up on taller boxes
  const WITHOUT = "not known";
  const CODES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
  const DAY = 86400000;

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const stored = (id) => JSON.parse(document.getElementById(id).textContent);
  const scripts = new Map();
  const script = (source) => {
    if (!scripts.has(source)) {
      scripts.set(source, new Promise((loaded, refused) => {
        document.head.append(make("script", { src: source, onload: loaded, onerror: () => refused(new Error(source)) }));
      }));
    }
    return scripts.get(source);
  };
  const failed = (place, file) => place.append(
    make("p", { className: "failed", textContent: `This needs the file ${file} beside the page; refresh again, or copy the whole folder.` }),
  );

  // Charts ------------------------------------------------------------------------------------------------------------

  const CONFIG = { responsive: true, displayModeBar: false };

  function numbers(table) {
    const cell = (tag, text, scope) => make(tag, scope ? { textContent: text, scope } : { textContent: text });
    const head = make("tr", {}, ...table.columns.map((name) => cell("th", name, "col")));
    const rows = table.rows.map(([first, ...rest]) =>
      make("tr", {}, cell("th", first, "row"), ...rest.map((value) => cell("td", value))));
    return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
  }

  function chart(place) {
    const data = stored(`${place.id}-data`);
    Plotly.newPlot(place, data.figure.data, data.figure.layout, CONFIG);
    const choice = document.getElementById(`${place.id}-choice`);
    if (!choice) return;
    const show = () => {
      const option = data.options[choice.selectedIndex];
      const traces = data.figure.data.map((trace, number) => ({ ...trace, ...option.traces[number] }));
      const layout = { ...data.figure.layout, ...option.layout };
      Plotly.react(place, traces, layout, CONFIG);
      document.getElementById(`${place.id}-title`).textContent = option.title;
      document.getElementById(`${place.id}-note`).textContent = option.note;
      const table = document.getElementById(`${place.id}-numbers`);
      if (table) table.replaceChildren(numbers(option.table || { columns: [], rows: [] }));
    };
    choice.addEventListener("change", show);
    // A browser that comes back to a page may remember what was chosen.
    if (choice.selectedIndex > 0) show();
  }

  async function charts() {
    const places = [...document.querySelectorAll(".plot")];
    if (!places.length) return;
    const file = document.body.dataset.plotly;
    try {
      await script(file);
    } catch {
      places.forEach((place) => failed(place, file));
      return;
    }
    for (const place of places) {
      chart(place);
      // Lets the page answer in between.
      await new Promise((next) => setTimeout(next));
    }
    document.body.dataset.drawn = places.length;
  }

  // Tables ------------------------------------------------------------------------------------------------------------

  const plain = (text) => {
    const lower = text.toLowerCase();
    return /[^\x00-\x7f]/.test(lower) ? lower.normalize("NFD").replace(/\p{M}/gu, "") : lower;
  };

  // What a column holds: how a row's value reads, sorts and is filtered by.
  function reader(column) {
    const { kind, values } = column;
    if (kind === "category") {
      const { names } = column;
      const code = typeof values === "string" ? (row) => CODES.indexOf(values[row]) : (row) => values[row];
      const codes = Int32Array.from({ length: values.length }, (_, row) => code(row));
      return {
        text: (row) => (codes[row] < 0 ? "" : names[codes[row]]),
        key: (row) => (codes[row] < 0 ? NaN : codes[row]),
        code: (row) => codes[row],
      };
    }
    if (kind === "text") {
      return { text: (row) => values[row] ?? "", key: (row) => plain(values[row] ?? "") };
    }
    if (kind === "date") {
      const text = (row) => (values[row] === null ? "" : new Date(values[row] * DAY).toISOString().slice(0, 10));
      return { text, key: (row) => values[row] ?? NaN };
    }
    const digits = { minimumFractionDigits: column.decimals, maximumFractionDigits: column.decimals };
    const format = new Intl.NumberFormat("en", kind === "percent" ? { ...digits, style: "percent" } : digits);
    return { text: (row) => (values[row] === null ? "" : format.format(values[row])), key: (row) => values[row] ?? NaN };
  }

  class Grid {
    constructor(place, data) {
      this.place = place;
      this.noun = data.noun;
      this.length = data.length;
      this.columns = data.columns.map((column) => ({ ...column, ...reader(column) }));
      this.shown = this.columns.filter((column) => !column.detail);
      this.details = this.shown.length < this.columns.length;
      this.order = Uint32Array.from({ length: this.length }, (_, row) => row);
      this.view = this.order;
      this.drawn = new Map();
      this.build();
      this.answer();
      // The first letter typed should not wait for this.
      setTimeout(() => this.texts ||= this.haystack());
    }

    build() {
      const name = this.place.id;
      this.search = make("input", { type: "search", id: `${name}-find`, autocomplete: "off", spellcheck: false });
      const searched = this.columns.filter((column) => column.searched).map((column) => column.title.toLowerCase());
      const controls = make("div", { className: "controls" });
      if (searched.length) {
        controls.append(make("label", { className: "find" }, `Search ${searched.join(", ")}`, this.search));
      }
      this.filters = this.columns.filter((column) => column.filter).map((column) => {
        const present = new Set(Array.from({ length: this.length }, (_, row) => column.code(row)));
        const options = column.names.map((text, code) => [text, code]).filter(([, code]) => present.has(code));
        if (present.has(-1)) options.push([WITHOUT, -1]);
        const select = make("select", { id: `${name}-by-${column.name}` }, new Option("all", ""),
          ...options.map(([text, code]) => new Option(text, code)));
        controls.append(make("label", {}, column.title, select));
        return { column, select };
      });
      this.found = make("p", { className: "found" });
      this.found.setAttribute("role", "status");

      const head = make("tr");
      this.shown.forEach((column) => {
        const button = make("button", { type: "button", textContent: column.title });
        button.addEventListener("click", () => this.sort(column));
        const cell = make("th", { scope: "col", className: column.number ? "number" : "" }, button);
        column.head = cell;
        head.append(cell);
      });
      head.setAttribute("aria-rowindex", 1);
      this.body = make("tbody");
      this.above = this.spacer();
      this.below = this.spacer();
      this.body.append(this.above, this.below);
      const widths = make("colgroup", {}, ...this.shown.map((column) => {
        const col = make("col");
        col.style.width = `${column.width}ch`;
        return col;
      }));
      const table = make("table", {}, widths, make("thead", {}, head), this.body);
      table.setAttribute("aria-labelledby", `${name}-title`);
      table.style.minWidth = `${this.shown.reduce((sum, column) => sum + column.width, 0)}ch`;
      this.table = table;
      this.box = make("div", { className: "rows", tabIndex: 0 }, table);
      this.box.setAttribute("role", "region");
      this.box.setAttribute("aria-labelledby", `${name}-title`);
      this.place.replaceChildren(controls, this.found, this.box);

      this.search.addEventListener("input", () => this.answer());
      this.filters.forEach(({ select }) => select.addEventListener("change", () => this.answer()));
      this.box.addEventListener("scroll", () => requestAnimationFrame(() => this.draw()), { passive: true });
      new ResizeObserver(() => this.draw()).observe(this.box);
    }

    spacer() {
      const row = make("tr", { className: "spacer" }, make("td", { colSpan: this.shown.length }));
      row.setAttribute("aria-hidden", "true");
      return row;
    }

    haystack() {
      const searched = this.columns.filter((column) => column.searched);
      return Array.from({ length: this.length }, (_, row) =>
        plain(searched.map((column) => column.text(row)).join("\n")));
    }

    sort(column) {
      const was = column.head.getAttribute("aria-sort");
      // Numbers are first asked for from the top, names from A.
      const first = column.number || column.kind === "date" ? "descending" : "ascending";
      const direction = was ? (was === "ascending" ? "descending" : "ascending") : first;
      this.shown.forEach((each) => each.head.removeAttribute("aria-sort"));
      column.head.setAttribute("aria-sort", direction);
      const keys = Array.from({ length: this.length }, (_, row) => column.key(row));
      const sign = direction === "ascending" ? 1 : -1;
      const missing = (key) => key === "" || Number.isNaN(key);
      this.order = Uint32Array.from({ length: this.length }, (_, row) => row).sort((a, b) => {
        const [x, y] = [keys[a], keys[b]];
        if (missing(x) || missing(y)) return missing(x) - missing(y) || a - b;
        return (x < y ? -sign : x > y ? sign : 0) || a - b;
      });
      this.answer();
    }

    answer() {
      const started = performance.now();
      const words = plain(this.search.value).split(/\s+/).filter(Boolean);
      const wanted = this.filters.filter(({ select }) => select.value !== "")
        .map(({ column, select }) => [column.code, Number(select.value)]);
      if (words.length) this.texts ||= this.haystack();
      this.view = words.length || wanted.length
        ? this.order.filter((row) => wanted.every(([code, value]) => code(row) === value)
          && words.every((word) => this.texts[row].includes(word)))
        : this.order;
      const total = `${this.length.toLocaleString("en")} ${this.noun}`;
      const listed = Math.min(this.view.length, DRAWABLE);
      this.found.textContent = (this.view.length === this.length ? total
        : `${this.view.length.toLocaleString("en")} of ${total}`)
        + (listed < this.view.length ? `; the first ${listed.toLocaleString("en")} are listed` : "")
        + (this.view.length ? "" : ": nothing fits the search and the filters");
      this.listed = listed;
      this.table.setAttribute("aria-rowcount", listed + 1);
      this.drawn.forEach((row) => row.remove());
      this.drawn.clear();
      this.box.scrollTop = 0;
      this.draw();
      this.place.dataset.milliseconds = (performance.now() - started).toFixed(1);
    }

    draw() {
      const start = Math.max(0, Math.floor(this.box.scrollTop / ROW) - SPARE);
      const end = Math.min(this.listed, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + SPARE);
      this.drawn.forEach((row, position) => {
        if (position < start || position >= end) {
          row.remove();
          this.drawn.delete(position);
        }
      });
      let after = this.above;
      for (let position = start; position < end; position += 1) {
        let row = this.drawn.get(position);
        if (!row) {
          row = this.row(position);
          this.drawn.set(position, row);
          after.after(row);
        }
        after = row;
      }
      this.above.firstChild.style.height = `${start * ROW}px`;
      this.below.firstChild.style.height = `${(this.listed - end) * ROW}px`;
      this.above.hidden = start === 0;
      this.below.hidden = end === this.listed;
    }

    row(position) {
      const number = this.view[position];
      const row = make("tr");
      row.setAttribute("aria-rowindex", position + 2);
      this.shown.forEach((column, place) => {
        const text = column.text(number);
        const cell = place ? make("td") : make("th", { scope: "row" });
        if (column.number) cell.className = "number";
        if (place === 0 && this.details) {
          const button = make("button", { type: "button", textContent: text });
          button.addEventListener("click", () => this.open(number));
          cell.append(button);
        } else {
          cell.append(this.shape(column, number));
        }
        cell.title = text;
        row.append(cell);
      });
      return row;
    }

    shape(column, row) {
      const text = column.text(row);
      const tone = column.tones && column.tones[text];
      return tone ? make("span", { className: `badge ${tone}`, textContent: text }) : text;
    }

    open(row) {
      const facts = make("dl", { className: "facts" });
      this.columns.forEach((column) => {
        const missing = column.text(row) === "";
        facts.append(make("dt", { textContent: column.title }),
          make("dd", {}, missing ? "–" : this.shape(column, row)));
      });
      const close = make("button", { type: "button", textContent: "Close" });
      const title = make("h3", { textContent: this.columns[0].text(row), id: `${this.place.id}-opened` });
      const dialog = make("dialog", {}, make("header", {}, title, close), facts);
      dialog.setAttribute("aria-labelledby", title.id);
      close.addEventListener("click", () => dialog.close());
      dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
      dialog.addEventListener("close", () => dialog.remove());
      document.body.append(dialog);
      dialog.showModal();
    }

    find(text) {
      this.search.value = text;
      this.answer();
      this.place.scrollIntoView();
    }
  }

  const grids = [];
  window.pulseTables = {};

  async function table(place) {
    const { file } = place.dataset;
    if (file) {
      try {
        await script(file);
      } catch {
        failed(place, file);
        return;
      }
    }
    grids.push(new Grid(place, file ? window.pulseTables[place.id] : stored(`${place.id}-data`)));
    delete window.pulseTables[place.id];
    place.dataset.ready = "yes";
    fromAddress();
  }

  // customers.html#find=C000123 opens the page on that customer.
  function fromAddress() {
    const [, text] = /^#find=(.*)$/.exec(window.location.hash) || [];
    if (text && grids.length) grids[0].find(decodeURIComponent(text));
  }

  const begin = () => {
    window.addEventListener("hashchange", fromAddress);
    document.querySelectorAll(".table").forEach(table);
    charts();
  };
  // After the first paint: text and figures first, then the drawing library.
  requestAnimationFrame(() => setTimeout(begin));
})();
