// Candles for the chart: those that the server stored, and the last hour as this page saw it.
import { candles as fetchCandles, held } from "./fetch.js";
import { model, nowMs } from "./model.js";

// Width of a candle and how far back the chart goes, in seconds: it holds a bounded number of bars.
export const FRAMES = {
  "1s": { seconds: 1, span: 900 },
  "1m": { seconds: 60, span: 1.5 * 86_400 },
  "1h": { seconds: 3600, span: 120 * 86_400 },
  "1d": { seconds: 86_400, span: 2 * 366 * 86_400 },
};

const HEADLINE = "30d";
const EDGES = ["bid", "ask"]; // parts of the headline; the others are books

const stored = new Map(); // "BTC 1m" -> {candles, isThere}
const storedParts = new Map(); // "BTC 1m" -> Map of part (bid, ask, a book) -> Map of time -> close

// Loads what is stored; true when the chart should be drawn anew.
export async function load(asset, frame) {
  const { seconds, span } = FRAMES[frame];
  const now = nowMs() / 1000;
  const found = await fetchCandles(asset, HEADLINE, now - span, now + seconds, seconds);
  const known = stored.get(`${asset} ${frame}`);
  stored.set(`${asset} ${frame}`, { candles: found ?? known?.candles ?? [], isThere: found !== null });
  return found !== null;
}

export const hasStored = (asset, frame) => stored.get(`${asset} ${frame}`)?.isThere ?? false;

const begin = (frame) => nowMs() / 1000 - FRAMES[frame].span;

// Everything to show, ascending: {time, open, high, low, close} and the gaps as {time}.
export function history(asset, frame) {
  const { seconds } = FRAMES[frame];
  const from = begin(frame);
  const kept = (stored.get(`${asset} ${frame}`)?.candles ?? []).filter((one) => one.opened_s >= from);
  const bars = new Map(kept.map((one) => [one.opened_s, bar(one.opened_s, one.open, one.high, one.low, one.close)]));
  for (const [time, made] of live(asset, seconds, from)) bars.set(time, joined(bars.get(time), made));
  return [...bars.values()].sort((a, b) => a.time - b.time);
}

// The newest bar alone, for an update in place; null before the first sample.
export function newest(asset, frame) {
  const samples = model.samples.get(asset);
  if (!samples?.length) return null;
  const { seconds } = FRAMES[frame];
  const last = samples.place(samples.length - 1);
  const time = Math.floor(samples.second[last] / seconds) * seconds;
  const made = live(asset, seconds, time).get(time);
  const kept = stored.get(`${asset} ${frame}`)?.candles;
  const before = kept?.length && kept[kept.length - 1].opened_s === time ? kept[kept.length - 1] : undefined;
  return joined(before && bar(time, before.open, before.high, before.low, before.close), made);
}

// Candles of the samples, from a time on.
function live(asset, seconds, from = 0) {
  const samples = model.samples.get(asset);
  const bars = new Map();
  if (!samples) return bars;
  for (let i = samples.length - 1; i >= 0; i -= 1) {
    const at = samples.place(i);
    const time = Math.floor(samples.second[at] / seconds) * seconds;
    if (time < from) break;
    // Backwards: the close is there first.
    const isValid = !Number.isNaN(samples.close[at]);
    const known = bars.get(time);
    if (!isValid) {
      if (!known) bars.set(time, { time });
    } else if (known?.close === undefined) {
      bars.set(time, bar(time, samples.open[at], samples.high[at], samples.low[at], samples.close[at]));
    } else {
      known.open = samples.open[at];
      known.high = Math.max(known.high, samples.high[at]);
      known.low = Math.min(known.low, samples.low[at]);
    }
  }
  return bars;
}

const bar = (time, open, high, low, close) => ({ time, open, high, low, close });

function joined(before, after) {
  if (before?.close === undefined) return after;
  if (after?.close === undefined) return before;
  return bar(after.time, before.open, Math.max(before.high, after.high), Math.min(before.low, after.low), after.close);
}

// Loads what is stored of the band, or with `isVenues` of the books; true when there is something new.
export async function loadParts(asset, frame, isVenues) {
  const { seconds, span } = FRAMES[frame];
  const from = nowMs() / 1000 - span;
  const names = Object.keys(await held(asset))
    .filter((name) => name.startsWith(`${HEADLINE}.`))
    .filter((name) => isVenues !== EDGES.includes(name.slice(HEADLINE.length + 1)));
  const found = await Promise.all(names.map((name) => fetchCandles(asset, name, from, from + span + seconds, seconds)));
  const parts = storedParts.get(`${asset} ${frame}`) ?? new Map();
  storedParts.set(`${asset} ${frame}`, parts);
  names.forEach((name, i) => {
    if (found[i]) parts.set(name.slice(HEADLINE.length + 1), new Map(found[i].map((one) => [one.opened_s, one.close])));
  });
  return found.some((one) => one?.length);
}

// The band's and the venues' last points of each step: those that are stored, then the samples'.
export function overlays(asset, frame) {
  const { seconds } = FRAMES[frame];
  const from = begin(frame);
  // Nothing after the newest sample: a chart takes no point before the last one it has.
  const samples = model.samples.get(asset);
  const until = samples?.length ? samples.second[samples.place(samples.length - 1)] : Infinity;
  const { band, venues } = liveOverlays(asset, frame, from);
  const parts = storedParts.get(`${asset} ${frame}`) ?? new Map();
  const closesOf = (part) => [...(parts.get(part) ?? [])].filter(([time]) => time >= from && time <= until);
  const upper = new Map(closesOf("ask"));
  for (const [time, low] of closesOf("bid")) {
    if (upper.has(time) && !band.has(time)) band.set(time, { time, low, high: upper.get(time) });
  }
  for (const part of parts.keys()) {
    if (EDGES.includes(part)) continue;
    if (!venues.has(part)) venues.set(part, new Map());
    const line = venues.get(part);
    for (const [time, value] of closesOf(part)) if (!line.has(time)) line.set(time, { time, value });
  }
  return {
    band: unbridged(band, seconds),
    venues: new Map([...venues].map(([part, line]) => [part, unbridged(line, seconds)])),
  };
}

// What the samples alone say from a time on: Maps of time -> point.
export function liveOverlays(asset, frame, from) {
  const samples = model.samples.get(asset);
  const { seconds } = FRAMES[frame];
  const band = new Map();
  const venues = new Map([...(samples?.venues.keys() ?? [])].map((label) => [label, new Map()]));
  for (let i = 0; i < (samples?.length ?? 0); i += 1) {
    const at = samples.place(i);
    const time = Math.floor(samples.second[at] / seconds) * seconds;
    if (time < from) continue;
    const isBand = !Number.isNaN(samples.bid[at] + samples.ask[at]);
    band.set(time, isBand ? { time, low: samples.bid[at], high: samples.ask[at] } : { time });
    for (const [label, values] of samples.venues) {
      venues.get(label).set(time, Number.isNaN(values[at]) ? { time } : { time, value: values[at] });
    }
  }
  return { band, venues };
}

// Ascending points; where a step is missing an empty one, or the chart would draw across the gap.
function unbridged(points, seconds) {
  const sorted = [...points.values()].sort((a, b) => a.time - b.time);
  return sorted.flatMap((point, i) => {
    const before = sorted[i - 1]?.time ?? point.time;
    return point.time - before > seconds ? [{ time: before + seconds }, point] : [point];
  });
}
