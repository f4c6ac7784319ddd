// Draws the timeline. Names in the data are labels made for plotly, which takes some markup in every text.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const chart = document.getElementById("chart");
const controls = document.getElementById("controls");
const KINDS = ["anon", "shmem", "file", "swap"];
const dark = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 40rem)");
// Colours after Okabe and Ito, told apart also by the colour-blind; those of the second row are lighter kin.
const COLOURS = [
  "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00",
  "#7fb8d8", "#f2cf80", "#80ceb9", "#e5bcd3", "#aad9f4", "#eaae80", "#9aa4b0",
];

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"];
function size(bytes) {
  let power = 0;
  while (Math.abs(bytes) >= 1024 && power < SIZES.length - 1) { bytes /= 1024; power += 1; }
  return `${toEven(bytes, power === 0 || Math.abs(bytes) >= 100 ? 0 : 1)} ${SIZES[power]}`;
}

// toFixed() rounds a tie up; the tables of this page round it to even, and the same size must read the same.
function toEven(value, digits) {
  const scaled = value * 10 ** digits, down = Math.floor(scaled);
  const whole = scaled - down === 0.5 ? down + (down % 2) : Math.round(scaled);
  return (whole / 10 ** digits).toFixed(digits);
}

// Both axes are drawn in one unit each, so that their ticks are round in it, also after zooming.
const highest = Math.max(data.peak[1], ...data.total, ...(data.cache || []));
const powerOf = (bytes) => Math.min(SIZES.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
let power = powerOf(highest);  // draw() raises it where the axis reaches to what was available
const inUnit = (bytes) => bytes / 1024 ** power;
const lasted = data.seconds[data.seconds.length - 1];
const [timeUnit, timeScale] = lasted < 300 ? ["s", 1] : lasted < 10800 ? ["min", 60] : ["h", 3600];
const times = data.seconds.map((seconds) => seconds / timeScale);

function sumOf(curves) {
  return data.seconds.map((_, at) => data.unit * curves.reduce((sum, curve) => sum + (curve ? curve[at] : 0), 0));
}

function chosen() {
  const form = new FormData(controls);
  return { view: form.get("view"), kinds: form.getAll("kind"), whole: form.has("whole") };
}

function stagesAt(seconds) {
  return data.stages.filter((stage) => stage.begin <= seconds && seconds <= stage.end).map((stage) => stage.label);
}

function curve(name, bytes, colour, more) {
  return {
    type: "scatter", mode: "lines", name, x: times, y: bytes.map((b) => (b === null ? null : inUnit(b))),
    customdata: bytes.map((b) => (b === null ? "" : size(b))), hovertemplate: "%{customdata}",
    line: { color: colour, width: 1.5 }, ...more,
  };
}

function totalCurves(tone) {
  const total = curve("unreclaimable", data.total, tone.peak, {
    fill: "tozeroy", fillcolor: `${tone.peak}40`, line: { color: tone.peak, width: 2 },
    hovertemplate: "%{customdata}%{text}",
    text: data.seconds.map((s) => { const at = stagesAt(s); return at.length ? ` in ${at.join(", ")}` : ""; }),
  });
  if (data.cache === null) return [total];
  return [total, curve("page cache", data.cache, tone.cache, { line: { color: tone.cache, width: 2, dash: "dot" } })];
}

function stacked(name, bytes, colour) {
  return curve(name, bytes, colour, { stackgroup: "held", line: { color: colour, width: 0.5 } });
}

function curves(choice, tone) {
  if (choice.view === "total") return totalCurves(tone);
  const byKind = (kind) => stacked(kind, sumOf(data.processes.map((p) => p[kind])), COLOURS[KINDS.indexOf(kind)]);
  const byProcess = (p, at) => stacked(p.label, sumOf(choice.kinds.map((kind) => p[kind])), COLOURS[at % COLOURS.length]);
  const stack = choice.view === "kinds" ? choice.kinds.map(byKind) : data.processes.map(byProcess);
  return [...stack, curve("unreclaimable", data.total, tone.text, { line: { color: tone.text, width: 1.5 } })];
}

function peakMark(tone) {
  return {
    type: "scatter", mode: "markers", name: "peak", x: [data.peak[0] / timeScale], y: [inUnit(data.peak[1])],
    marker: { color: tone.bad, size: 9, symbol: "diamond" }, showlegend: false, cliponaxis: false,
    customdata: [size(data.peak[1])], hovertemplate: "%{customdata}",
  };
}

// What of a label has room in its bar; a letter is about 7 pixels wide.
function fitting(stage) {
  const letters = Math.floor((stage.end - stage.begin) / (lasted || 1) * (chart.clientWidth - 80) / 7) - 1;
  if (stage.label.length <= letters) return stage.label;
  return letters > 3 ? `${stage.label.slice(0, letters - 1)}…` : "";
}

// Stages lie above the curves, in lanes: those within another one lie above it.
function stageBars() {
  if (!data.stages.length) return [];
  return [{
    type: "bar", orientation: "h", yaxis: "y2", name: "stages", showlegend: false, hoverinfo: "skip",
    base: data.stages.map((stage) => stage.begin / timeScale),
    x: data.stages.map((stage) => (stage.end - stage.begin) / timeScale),
    y: data.stages.map((stage) => stage.lane), width: 0.86,
    text: data.stages.map(fitting), textposition: "inside", insidetextanchor: "middle", textangle: 0, constraintext: "none",
    textfont: { color: "#fff", size: 11 },
    marker: { color: data.stages.map((_, at) => ["#4c6377", "#7a5c86"][at % 2]) },
  }];
}

function stageBands() {
  return data.stages.filter((stage) => stage.lane === 0).map((stage, at) => ({
    type: "rect", x0: stage.begin / timeScale, x1: stage.end / timeScale, y0: 0, y1: 1, yref: "y domain", layer: "below",
    line: { width: 0 }, fillcolor: ["#4c6377", "#7a5c86"][at % 2], opacity: 0.1,
  }));
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["text", "faint", "line", "page", "peak", "cache", "available", "bad"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function highestOf(traces) {
  const stack = traces.filter((trace) => trace.stackgroup);
  const sums = times.map((_, at) => stack.reduce((sum, trace) => sum + trace.y[at], 0));
  const lines = traces.filter((trace) => !trace.stackgroup && trace.yaxis !== "y2");
  return Math.max(...sums, ...lines.flatMap((trace) => trace.y));
}

function availableIn(choice, traces) {
  return choice.whole || inUnit(data.available) <= 1.6 * highestOf(traces);
}

function layout(choice, tone, traces) {
  const lanes = data.stages.length ? 1 + Math.max(...data.stages.map((stage) => stage.lane)) : 0;
  const strip = lanes ? (8 + 20 * lanes) / (chart.clientHeight - 110) : 0;
  const top = highestOf(traces);
  const available = inUnit(data.available);
  const shown = availableIn(choice, traces);
  const axis = { color: tone.faint, gridcolor: tone.line, linecolor: tone.line, zeroline: false, fixedrange: false };
  const label = { showarrow: false, yanchor: "bottom" };
  const peakAt = data.peak[0] / (lasted || 1) > 0.6 ? "right" : "left";
  return {
    width: chart.clientWidth, height: chart.clientHeight,
    paper_bgcolor: tone.page, plot_bgcolor: tone.page, font: { family: "system-ui, sans-serif", size: 13, color: tone.text },
    margin: { l: 8, r: 12, t: narrow.matches ? 8 : 32, b: 8 }, hovermode: "x unified",
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", // a finger scrolls the page
    hoverlabel: { bgcolor: tone.page, bordercolor: tone.line, font: { color: tone.text } },
    legend: { orientation: "h", y: -0.11, yanchor: "top", x: 0, traceorder: "normal" }, showlegend: true, bargap: 0,
    uirevision: choice.view, // zooming in time outlasts a change of view
    xaxis: {
      ...axis, ticksuffix: ` ${timeUnit}`, hoverformat: ".2f", automargin: true, uirevision: "time",
      range: [0, times[times.length - 1] || 1], nticks: narrow.matches ? 5 : 10,
    },
    yaxis: {
      ...axis, ticksuffix: ` ${SIZES[power]}`, automargin: true, domain: [0, 1 - strip], uirevision: JSON.stringify(choice),
      range: [0, 1.1 * (shown ? Math.max(top, available) : top)],
    },
    yaxis2: { domain: [1 - strip + 0.01, 1], visible: false, fixedrange: true, range: [-0.5, Math.max(0.5, lanes - 0.5)] },
    shapes: [
      ...stageBands(),
      {
        type: "line", x0: 0, x1: 1, xref: "paper", y0: available, y1: available, visible: shown,
        line: { color: tone.available, width: 1.5, dash: "dash" },
      },
    ],
    annotations: [
      {
        ...label, x: 0, xref: "paper", xanchor: "left", y: available, visible: shown,
        font: { size: 12, color: tone.available }, text: `available ${size(data.available)}`,
      },
      {
        ...label, x: data.peak[0] / timeScale, xanchor: peakAt, xshift: peakAt === "right" ? -8 : 8, y: inUnit(data.peak[1]),
        font: { size: 12, color: tone.bad }, text: `peak ${size(data.peak[1])}`,
      },
    ],
  };
}

function caption(choice, traces) {
  const said = [];
  if (choice.view !== "total") {
    said.push("Of pages that several processes share, each counts the whole, so the sum may lie above the line of the total.");
  }
  said.push(data.exact ? "In the total each page counts once." : "Some samples of the total are upper bounds: shared pages may count more than once.");
  if (data.cache === null) said.push("Page cache of the job is not known: only a memory cgroup counts it.");
  if (!availableIn(choice, traces)) said.push(`Available: ${size(data.available)}, above what is drawn.`);
  if (choice.kinds.length < 4 && choice.view !== "total") said.push(`Shown: ${choice.kinds.join(", ") || "nothing"}.`);
  return said.join(" ");
}

function draw() {
  const choice = chosen(), tone = colours();
  power = powerOf(choice.whole ? Math.max(highest, data.available) : highest);
  const traces = [...curves(choice, tone), peakMark(tone), ...stageBars()];
  document.getElementById("kinds").hidden = choice.view === "total";
  document.getElementById("caption").textContent = caption(choice, traces);
  return Plotly.react(chart, traces, layout(choice, tone, traces), {
    displaylogo: false, displayModeBar: !narrow.matches,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    toImageButtonOptions: { filename: "oomguard-profile" },
  });
}

controls.addEventListener("change", draw);
controls.addEventListener("submit", (event) => event.preventDefault());
dark.addEventListener("change", draw);
narrow.addEventListener("change", draw);
new ResizeObserver(draw).observe(chart);
// Paper is white, and narrower than the window; the browser still has the screen's style when it tells of it.
addEventListener("beforeprint", () => { document.documentElement.classList.add("paper"); draw(); });
addEventListener("afterprint", () => { document.documentElement.classList.remove("paper"); draw(); });
draw();
