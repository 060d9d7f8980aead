"use strict";
// The table of all tracks: found, sorted and shown by portions. Text goes in as text, never as
// markup. A row is what `tagger.scan_page` writes, columns in that order.
(() => {
  const [PATH, STATUS, GENRE, CONFIDENCE, SECOND, SECOND_CONFIDENCE, OLD, NEW, MESSAGE, MOOD] =
    Array(10).keys();
  const COLUMNS = [
    ["file", PATH], ["status", STATUS], ["genre", GENRE], ["confidence", CONFIDENCE],
    ["old", OLD], ["new", NEW],
  ];
  const PORTION = matchMedia("(max-width: 40rem)").matches ? 25 : 100, PRINTED = 500;
  const at = (id) => document.getElementById(id);
  const rows = JSON.parse(at("rows").textContent);
  at("rows").textContent = "";
  if (rows.some((row) => row[MOOD])) COLUMNS.push(["mood", MOOD]);
  const compare = new Intl.Collator(undefined, {numeric: true}).compare;
  let found = rows, column = -1, descending = false, shown = 0, texts = null;

  const make = (tag, kind, text) => {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const guess = (genre, confidence) =>
    confidence === null ? "" : genre + " " + confidence.toFixed(2);

  const line = (row) => {
    const tr = make("tr");
    const file = make("td", "", row[PATH]);
    const second = guess(row[SECOND], row[SECOND_CONFIDENCE]);
    const told = !second || row[MESSAGE].includes(second) ? "" : "second guess: " + second;
    const why = [row[MESSAGE], told].filter(Boolean).join("; ");
    if (why) file.append(make("small", "", why));
    tr.append(file);
    for (const [name, i] of COLUMNS.slice(1)) {
      const value = i === CONFIDENCE ? (row[i] === null ? "" : row[i].toFixed(2)) : row[i];
      const cell = make("td", i === CONFIDENCE ? "" : "text", value);
      cell.dataset.label = name;
      tr.append(cell);
    }
    return tr;
  };

  const show = (until) => {
    const more = document.createDocumentFragment();
    for (; shown < Math.min(until, found.length); shown++) more.append(line(found[shown]));
    at("body").append(more);
    at("more").hidden = shown >= found.length;
  };
  const restart = () => {
    at("body").textContent = "";
    shown = 0;
    show(PORTION);
    at("count").textContent = found.length.toLocaleString("en") + " of " +
      rows.length.toLocaleString("en") + " tracks";
  };

  // Each value is compared once: sorting itself is by its rank.
  const ranks = {};
  const rank = (i) => {
    if (!ranks[i]) {
      const values = [...new Set(rows.map((row) => row[i]))];
      values.sort(i === CONFIDENCE ? (a, b) => (a ?? -1) - (b ?? -1) : compare);
      ranks[i] = new Map(values.map((value, place) => [value, place]));
    }
    return ranks[i];
  };
  const find = () => {
    const words = at("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const status = at("status").value, heard = at("heard").value;
    if (words.length && !texts)
      texts = new Map(rows.map((row) => [row, row.join("\n").toLowerCase()]));
    found = rows.filter((row) => (!status || row[STATUS] === status) &&
      (!heard || row[GENRE] === heard) && words.every((word) => texts.get(row).includes(word)));
    if (column >= 0) {
      const places = rank(column), sign = descending ? -1 : 1;
      found.sort((a, b) => sign * (places.get(a[column]) - places.get(b[column])));
    }
    restart();
  };

  for (const [name, i] of COLUMNS) {
    const th = make("th", i === CONFIDENCE ? "" : "text");
    const button = make("button", "", name);
    button.type = "button";
    button.addEventListener("click", () => {
      descending = column === i && !descending;
      column = i;
      for (const other of at("head").children) other.removeAttribute("aria-sort");
      th.setAttribute("aria-sort", descending ? "descending" : "ascending");
      find();
    });
    th.append(button);
    at("head").append(th);
  }
  for (const [id, i] of [["status", STATUS], ["heard", GENRE]]) {
    const values = [...new Set(rows.map((row) => row[i]))].filter(Boolean).sort(compare);
    for (const value of values) at(id).append(new Option(value, value));
    at(id).addEventListener("change", find);
  }
  at("find").addEventListener("input", find);
  at("find").form.addEventListener("submit", (event) => event.preventDefault());
  at("more").addEventListener("click", () => show(shown + PORTION));
  new IntersectionObserver((seen) => {
    if (seen.some((entry) => entry.isIntersecting)) show(shown + PORTION);
  }, {rootMargin: "600px"}).observe(at("more"));
  addEventListener("beforeprint", () => show(PRINTED));
  at("all").hidden = false;
  restart();
})();
