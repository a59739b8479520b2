// The term structure: now, an hour ago, yesterday, and what every expiry says.
import { candles } from "./fetch.js";
import { $, fill, put } from "./dom.js";
import { points, signed } from "./format.js";
import { model, nowMs } from "./model.js";
import { Plot, airy, daysAxis, daysScale, dot, valueAxis } from "./plot.js";

const HOUR = 3600;
const DAY = 86_400;
const STEP = 60;
const NEAR = 900; // seconds: an older candle is not "then"
const RELOAD_MS = 60_000;

const past = new Map(); // asset -> {asked, hour: {tenor: value}, day: {...}}
let plot;
let expiries = [];

const days = (tenor) => Number(tenor.slice(0, -1));

export function startTerm() {
  plot = new Plot($("term"), (colour) => ({
    padding: [10, 0, 0, 8],
    cursor: { y: false, points: { size: 6 } },
    scales: { x: daysScale, y: { range: airy(0.12, 0.5) } },
    axes: [
      daysAxis(colour),
      valueAxis(colour, { values: (_u, at) => at.map((value) => value.toFixed(1)) }),
    ],
    series: [
      {},
      { label: "yesterday", stroke: colour.faint, width: 1.5, dash: [2, 4], points: { show: false }, spanGaps: true },
      { label: "1 h ago", stroke: colour.warn, width: 1.2, dash: [6, 4], points: { show: false }, spanGaps: true },
      { label: "now", stroke: colour.accent, width: 2, points: { show: true, size: 6, fill: colour.accent }, spanGaps: true },
    ],
    hooks: { drawClear: [(u) => drawExpiries(u, colour)] },
  }));
}

function drawExpiries(u, colour) {
  const [low, high] = [u.scales.x.min, u.scales.x.max];
  for (const one of expiries) {
    if (one.days < low || one.days > high) continue;
    dot(u.ctx, u.valToPos(one.days, "x", true), u.valToPos(one.value, "y", true), 2 * devicePixelRatio, colour.faint);
  }
}

export function drawTerm() {
  const { asset } = model;
  const surface = model.surface.get(asset);
  if (!surface) return put($("term-note"), "No surface yet.");
  refresh(asset);
  const tenors = Object.keys(surface.term);
  const before = past.get(asset) ?? { hour: {}, day: {} };
  expiries = surface.expiries
    .filter((one) => one.implied_vol !== null && one.t_years > 0)
    .map((one) => ({ days: one.t_years * 365, value: one.implied_vol }));
  const line = (values) => tenors.map((tenor) => values[tenor] ?? null);
  plot.draw([tenors.map(days), line(before.day), line(before.hour), line(surface.term)]);
  table(tenors, surface.term, before);
  const lacks = [["hour", "an hour ago"], ["day", "yesterday"]].filter(([key]) => !Object.keys(before[key]).length).map(([, name]) => name);
  put($("term-note"), lacks.length ? `Not stored: ${lacks.join(" and ")}.` : "\u00a0");
}

function table(tenors, term, before) {
  const change = (values) => (tenor) => {
    const by = values[tenor] === undefined || term[tenor] === null ? null : term[tenor] - values[tenor];
    return { t: signed(by), c: by === null ? "none" : by >= 0 ? "up" : "down" };
  };
  fill($("term-table").tHead, [["", ...tenors]]);
  fill($("term-table").tBodies[0], [
    ["now", ...tenors.map((tenor) => ({ t: points(term[tenor]), c: "strong" }))],
    ["1 h", ...tenors.map(change(before.hour))],
    ["24 h", ...tenors.map(change(before.day))],
  ]);
}

async function refresh(asset) {
  const known = past.get(asset);
  if (known && performance.now() - known.asked < RELOAD_MS) return;
  const made = { asked: performance.now(), hour: known?.hour ?? {}, day: known?.day ?? {} };
  past.set(asset, made);
  for (const [key, ago] of [["hour", HOUR], ["day", DAY]]) {
    const then = nowMs() / 1000 - ago;
    const found = {};
    for (const tenor of Object.keys(model.surface.get(asset).term)) {
      const near = await candles(asset, tenor, then - NEAR, then + STEP, STEP);
      const last = near?.filter((one) => one.opened_s <= then).at(-1);
      if (last) found[tenor] = last.close;
    }
    made[key] = found;
  }
}
