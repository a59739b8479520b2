// What makes the number: its points by expiry and book, and by strike.
import { ask } from "./fetch.js";
import { $, fill, put } from "./dom.js";
import { amount, clockTime, expiryName, percent, points } from "./format.js";
import { headline, model } from "./model.js";
import { Plot, axis, valueAxis } from "./plot.js";
import uPlot from "./vendor/uplot/uPlot.esm.js";

const EVERY_MS = 15_000;

let plot;
let askedAt = -Infinity;
let shownAsset = null;

export function startLevel() {
  plot = new Plot($("level-strikes"), (colour) => ({
    padding: [8, 0, 0, 8],
    cursor: { y: false, points: { show: false } },
    scales: { x: { time: false, range: (_u, low, high) => [low * 0.98, high * 1.02] }, y: { range: (_u, _low, high) => [0, (high || 1) * 1.1] } },
    axes: [
      axis(colour, { size: 22, space: 60, values: (_u, at) => at.map((strike) => amount(strike)) }),
      valueAxis(colour, { values: (_u, at) => at.map((value) => value.toFixed(1)) }),
    ],
    series: [
      {},
      { label: "puts", stroke: colour.warn, fill: colour.warn, paths: uPlot.paths.bars({ size: [0.7, 14, 2] }), points: { show: false } },
      { label: "calls", stroke: colour.accent, fill: colour.accent, paths: uPlot.paths.bars({ size: [0.7, 14, 2] }), points: { show: false } },
    ],
  }));
}

export async function drawLevel() {
  const record = headline();
  const now = performance.now();
  if (!record || (shownAsset === model.asset && now - askedAt < EVERY_MS)) return;
  askedAt = now;
  shownAsset = model.asset;
  if (model.about?.evidence === false) return clear("Not available: this server keeps no evidence.");
  if (record.value === null) return clear("There is no value to take apart.");
  const { body, error } = await ask(`/v1/explain/${record.asset}/${record.seq}`);
  if (shownAsset !== record.asset) return;
  if (!body) return clear(`Not available: ${error}.`);
  show(body);
}

function clear(why) {
  plot.draw([[], [], []]);
  fill($("level-table").tBodies[0], []);
  put($("level-note"), why);
}

function show(level) {
  const sides = new Map();
  for (const part of level.strikes) {
    const known = sides.get(part.strike) ?? { P: 0, C: 0 };
    known[part.kind] += part.points;
    sides.set(part.strike, known);
  }
  const strikes = [...sides.keys()].sort((a, b) => a - b);
  plot.draw([strikes, strikes.map((at) => sides.get(at).P || null), strikes.map((at) => sides.get(at).C || null)]);
  const parts = [...level.expiries].sort((a, b) => b.points - a.points);
  const most = Math.max(...parts.map((one) => one.points), 1e-9);
  fill($("level-table").tBodies[0], parts.map((one) => [
    expiryName(one.expiry),
    { t: one.venue, c: "left" },
    percent(one.weight, 1),
    { t: points(one.points, 3), c: "strong" },
    { t: `${points(one.puts)} · ${points(one.calls)}`, c: "left", split: [Math.max(0, one.puts) / most, Math.max(0, one.calls) / most] },
  ]));
  const sum = parts.reduce((total, one) => total + one.points, 0);
  put($("level-note"), `Record ${level.seq}, ${clockTime(level.computed_ns / 1e6)} UTC: ${parts.length} parts sum to ${points(sum, 3)}. By strike, all books: puts, calls.`);
}
