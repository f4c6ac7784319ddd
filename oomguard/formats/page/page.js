// Makes a page easier to look into. Without it everything is there: this only sorts, switches, zooms and reads out.
"use strict";

document.documentElement.classList.add("scripted");
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Times: the reader's own clock, and how long ago.
const two = (number) => String(number).padStart(2, "0");
function told(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = Math.max(0, units.findIndex(([unit]) => seconds >= unit)), parts = [];
  for (const [unit, label] of units.slice(at < 0 ? 3 : at).slice(0, 2)) {
    const count = Math.floor(seconds / unit);
    if (count || label === "s") parts.push(`${count} ${label}`);
    seconds -= count * unit;
  }
  return parts.join(" ");
}
for (const time of all("time[datetime]")) {
  const at = new Date(time.dateTime), ago = Math.round((Date.now() - at) / 1000);
  if (Number.isNaN(at.getTime())) continue;
  const zone = (/\(?([A-Z]{2,5}|GMT[+-]\S+)\)?$/.exec(at.toLocaleTimeString("en", { timeZoneName: "short" })) || ["", "local"])[1];
  const local = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
  const note = document.createElement("span");
  note.className = "note";
  note.textContent = ` (${local} ${zone} by this browser's clock${ago >= 0 ? `, ${told(ago)} ago` : ""})`;
  time.append(note);
}

// Tables: a heading is a button that sorts, upwards and downwards in turn.
function sortBy(table, column, header) {
  const sorted = header.getAttribute("aria-sort"), down = sorted ? sorted === "ascending" : header.dataset.first === "down";
  const body = table.tBodies[0], sign = down ? -1 : 1;
  const key = (row) => row.cells[column].dataset.value === undefined ? row.cells[column].textContent : Number(row.cells[column].dataset.value);
  const rows = [...body.rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b))));
  body.append(...rows.map(([, row]) => row));
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
}
for (const table of all("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    const values = [...table.tBodies[0].rows].every((row) => row.cells[column].dataset.value !== undefined);
    header.dataset.first = values ? "down" : "up";
    button.addEventListener("click", () => sortBy(table, column, header));
  });
}

// Sizes as everywhere else: toFixed() rounds a tie up, the tables of this page round it to even.
const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"];
function toEven(value, digits) {
  const scaled = value * 10 ** digits, down = Math.floor(scaled);
  const whole = scaled - down === 0.5 ? down + (down % 2) : Math.round(scaled);
  return (whole / 10 ** digits).toFixed(digits);
}
function size(bytes) {
  let power = 0;
  while (Math.abs(bytes) >= 1024 && power < SIZES.length - 1) { bytes /= 1024; power += 1; }
  return `${toEven(bytes, power === 0 || Math.abs(bytes) >= 100 ? 0 : 1)} ${SIZES[power]}`;
}

// The timeline: which view, and what was held at a moment.
const timeline = document.getElementById("timeline");
const data = document.getElementById("data") ? JSON.parse(document.getElementById("data").textContent) : null;
function choose(view) {
  for (const figure of all("[data-view]", timeline)) figure.hidden = figure.dataset.view !== view;
}
function readOut(at) {
  const seconds = data.seconds[at], view = all("input[name=view]", timeline).find((input) => input.checked)?.value;
  const parts = [`${size(data.total[at])} unreclaimable`];
  if (data.cache) parts.push(`${size(data.cache[at] || 0)} page cache`);
  for (const curve of { kinds: data.kinds, processes: data.processes }[view] || []) if (curve.sizes[at]) parts.push(`${curve.label} ${size(curve.sizes[at] * data.unit)}`);
  const stages = data.stages.filter((stage) => stage.begin <= seconds && seconds <= stage.end).map((stage) => stage.label);
  if (stages.length) parts.push(`in ${stages.join(", ")}`);
  const text = `at ${seconds.toFixed(2)} s: ${parts.join("; ")}`;
  timeline.querySelector("output").textContent = text;
  timeline.querySelector("input[type=range]").setAttribute("aria-valuetext", text);
  const first = data.seconds[0], last = data.seconds[data.seconds.length - 1];
  const x = `${100 * (last > first ? (seconds - first) / (last - first) : 0)}%`;
  for (const line of all(".cursor", timeline)) { line.setAttribute("x1", x); line.setAttribute("x2", x); line.removeAttribute("visibility"); }
}
function nearest(seconds) {
  let low = 0, high = data.seconds.length - 1;
  while (high - low > 1) { const middle = (low + high) >> 1; if (data.seconds[middle] <= seconds) low = middle; else high = middle; }
  return seconds - data.seconds[low] <= data.seconds[high] - seconds ? low : high;
}
if (timeline && data) {
  const range = timeline.querySelector("input[type=range]");
  for (const input of all("input[name=view]", timeline)) {
    input.addEventListener("change", () => { choose(input.value); readOut(Number(range.value)); });
    if (input.checked) choose(input.value);
  }
  range.addEventListener("input", () => readOut(Number(range.value)));
  for (const chart of all(".chart", timeline)) {
    chart.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect(), part = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      const first = data.seconds[0], last = data.seconds[data.seconds.length - 1];
      range.value = nearest(first + part * (last - first));
      readOut(Number(range.value));
    });
  }
}

// The flame graph: a click or Enter makes a call as wide as the graph, Escape brings all back; arrows go from call to call.
const flame = document.querySelector(".flame");
if (flame) {
  const info = document.querySelector(".info"), calls = all("[role=treeitem]", flame);
  const place = (call) => [Number(call.dataset.x), Number(call.dataset.w), Number(call.getAttribute("aria-level"))];
  const holds = ([x, w, level], [x2, w2, level2]) => level < level2 && x2 >= x && x2 + w2 <= x + w + 1;
  const tell = (call) => { info.textContent = call.getAttribute("aria-label"); };
  function focus(call) {
    if (!call) return;
    for (const other of calls) other.setAttribute("tabindex", other === call ? "0" : "-1");
    call.focus();
  }
  function zoom(call) {
    const [x, w] = place(call);
    for (const other of calls) {
      const [ox, ow] = place(other), above = holds(place(other), place(call)), inside = other === call || holds(place(call), place(other));
      other.classList.toggle("gone", !above && !inside);
      other.classList.toggle("above", above);
      other.setAttribute("x", above ? "0%" : `${100 * (ox - x) / w}%`);
      other.setAttribute("width", above ? "100%" : `${100 * ow / w}%`);
    }
  }
  const seen = () => calls.filter((call) => !call.classList.contains("gone"));
  function go(call, key) {
    const here = place(call);
    if (key === "ArrowUp") return seen().findLast((other) => holds(place(other), here));
    if (key === "ArrowDown") return seen().find((other) => holds(here, place(other)));
    const row = seen().filter((other) => place(other)[2] === here[2]), at = row.indexOf(call);
    return { ArrowLeft: row[at - 1], ArrowRight: row[at + 1], Home: calls[0], End: row[row.length - 1] }[key];
  }
  for (const call of calls) {
    call.addEventListener("pointerenter", () => tell(call));
    call.addEventListener("focus", () => tell(call));
    call.addEventListener("click", () => { focus(call); zoom(call); });
  }
  flame.addEventListener("keydown", (event) => {
    const call = event.target.closest("[role=treeitem]");
    if (!call) return;
    if (event.key === "Enter" || event.key === " ") zoom(call);
    else if (event.key === "Escape") zoom(calls[0]);
    else if (/^(Arrow|Home|End)/.test(event.key)) focus(go(call, event.key));
    else return;
    event.preventDefault();
  });
}
