// The index over time: candles, the band, the venues, and the two cursors.
import {
  CandlestickSeries, CrosshairMode, LineSeries, createChart, createSeriesMarkers,
} from "./vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { BandSeries } from "./band_series.js";
import { FRAMES, hasStored, history, liveOverlays, load, loadParts, newest, overlays } from "./candles.js";
import { clickCursor, cursors, onCursors, setCursor } from "./cursors.js";
import { $, press, put } from "./dom.js";
import { clockTime, dateTime, points } from "./format.js";
import { model } from "./model.js";
import { onTheme, paint, venueColour } from "./theme.js";

const RELOAD_MS = 60_000;
const REBUILD_BARS = 120; // bars fall off at the far end: the chart library drops none by itself
const FIRST_BARS = { "1s": 150, "1m": 240, "1h": 240, "1d": 240 };

const shown = { asset: null, frame: "1s", band: true, venues: false, bars: [], appended: 0, last: null };
let chart, candleSeries, bandSeries, markers;
const venueSeries = new Map();
let inspected = null; // time under the inspection line

export function startChart() {
  chart = createChart($("chart"), {
    autoSize: true,
    layout: { attributionLogo: false, background: { color: "transparent" } }, // named in the footer
    crosshair: { mode: CrosshairMode.Normal },
    timeScale: { timeVisible: true, secondsVisible: true, rightOffset: 4 },
    localization: { timeFormatter: (time) => `${dateTime(time * 1000)} UTC` },
    handleScroll: { vertTouchDrag: false },
  });
  bandSeries = chart.addCustomSeries(new BandSeries(), { priceFormat: { type: "price", precision: 2, minMove: 0.01 } });
  candleSeries = chart.addSeries(CandlestickSeries, { borderVisible: false });
  markers = createSeriesMarkers(candleSeries, []);
  chart.subscribeCrosshairMove(({ time }) => {
    inspected = time ?? null;
    readOut();
  });
  chart.subscribeClick(({ time }) => time !== undefined && note(clickCursor(time, FRAMES[shown.frame].seconds)));
  $("frames").addEventListener("click", (event) => event.target.dataset.frame && showFrame(event.target.dataset.frame));
  $("show-band").addEventListener("click", toggleBand);
  $("show-venues").addEventListener("click", toggleVenues);
  $("chart").addEventListener("keydown", inspectByKey);
  onTheme(dress);
  onCursors(mark);
  dress();
  setInterval(() => document.hidden || reload(), RELOAD_MS);
}

function dress() {
  const colour = paint();
  chart.applyOptions({
    layout: { textColor: colour.dim, fontFamily: colour.font, fontSize: 11 },
    grid: { vertLines: { color: colour.grid }, horzLines: { color: colour.grid } },
    rightPriceScale: { borderColor: colour.edge },
    timeScale: { borderColor: colour.edge },
    crosshair: { vertLine: { color: colour.dim, labelBackgroundColor: colour.faint }, horzLine: { color: colour.dim, labelBackgroundColor: colour.faint } },
  });
  candleSeries.applyOptions({ upColor: colour.up, downColor: colour.down, wickUpColor: colour.up, wickDownColor: colour.down, priceLineColor: colour.accent });
  bandSeries.applyOptions({ fill: colour.area });
  for (const [label, series] of venueSeries) series.applyOptions({ color: venueColour(label) });
  mark();
}

export function showFrame(frame) {
  shown.frame = frame;
  press($("frames").children, (button) => button.dataset.frame === frame);
  chart.timeScale().applyOptions({ secondsVisible: frame === "1s" });
  rebuild(true);
  reload();
}

export function toggleBand() {
  shown.band = !shown.band;
  press([$("show-band")], () => shown.band);
  bandSeries.applyOptions({ visible: shown.band });
}

export function toggleVenues() {
  shown.venues = !shown.venues;
  press([$("show-venues")], () => shown.venues);
  rebuild(false);
  if (shown.venues) reloadParts();
}

async function reload() {
  const { asset, frame } = shown;
  if (!asset) return;
  const isNew = await load(asset, frame);
  if (isNew && shown.asset === asset && shown.frame === frame) rebuild(shown.bars.length < 2 || !shown.isSettled);
  if (isNew) shown.isSettled = true;
  describe();
  await reloadParts();
}

// The band, and the venues while they are shown.
async function reloadParts() {
  const { asset, frame } = shown;
  const found = await Promise.all([loadParts(asset, frame, false), shown.venues && loadParts(asset, frame, true)]);
  if (found.some(Boolean) && shown.asset === asset && shown.frame === frame) rebuild(false);
}

// Everything anew: another asset, another candle, or bars that are too old to keep.
function rebuild(isNewRange) {
  if (!shown.asset) return;
  const { asset, frame } = shown;
  shown.bars = history(asset, frame);
  shown.appended = 0;
  shown.last = shown.bars.at(-1)?.time ?? null;
  candleSeries.setData(shown.bars);
  const { band, venues } = overlays(asset, frame);
  bandSeries.setData(band);
  for (const [label, series] of venueSeries) {
    if (shown.venues && venues.has(label)) continue;
    chart.removeSeries(series);
    venueSeries.delete(label);
  }
  if (shown.venues) for (const [label, line] of venues) venueLine(label).setData(line);
  if (isNewRange) {
    shown.isSettled = false;
    const count = shown.bars.length;
    if (count) chart.timeScale().setVisibleLogicalRange({ from: count - FIRST_BARS[frame], to: count + 4 });
  }
  mark();
  describe();
  readOut();
}

function venueLine(label) {
  if (!venueSeries.has(label)) {
    const options = { color: venueColour(label), lineWidth: 1, title: label, priceLineVisible: false, lastValueVisible: true, crosshairMarkerVisible: false };
    venueSeries.set(label, chart.addSeries(LineSeries, options));
  }
  return venueSeries.get(label);
}

// The newest bar; called several times a second.
export function drawChart() {
  if (shown.asset !== model.asset) {
    shown.asset = model.asset;
    rebuild(true);
    return reload();
  }
  const bar = newest(shown.asset, shown.frame);
  if (!bar || (shown.last !== null && bar.time < shown.last)) return;
  if (bar.time !== shown.last) {
    shown.appended += 1;
    // The bar before is complete only now.
    if (shown.appended > REBUILD_BARS) return rebuild(false);
    shown.bars.push(bar);
  } else shown.bars[shown.bars.length - 1] = bar;
  shown.last = bar.time;
  candleSeries.update(bar);
  const { band, venues } = liveOverlays(shown.asset, shown.frame, bar.time);
  for (const point of band.values()) bandSeries.update(point);
  if (shown.venues) {
    for (const [label, line] of venues) for (const point of line.values()) venueLine(label).update(point);
  }
  if (inspected === null) readOut();
}

function mark() {
  const colour = paint();
  const set = [["a", "A"], ["b", "B"]].flatMap(([name, text]) => {
    const cursor = cursors[name];
    if (!cursor || cursor.asset !== shown.asset) return [];
    const { seconds } = FRAMES[shown.frame];
    return [{ time: Math.floor(cursor.second / seconds) * seconds, position: "aboveBar", shape: "arrowDown", color: name === "a" ? colour.warn : colour.accent, text, size: 1.4 }];
  });
  markers.setMarkers(set.sort((a, b) => a.time - b.time));
}

function readOut() {
  const bar = inspected === null ? shown.bars.at(-1) : shown.bars.findLast((one) => one.time <= inspected);
  if (!bar) return put($("readout"), "\u00a0");
  const when = shown.frame === "1d" ? dateTime(bar.time * 1000).slice(0, 10) : dateTime(bar.time * 1000);
  const said = bar.close === undefined ? "no valid value" : `O ${points(bar.open)}  H ${points(bar.high)}  L ${points(bar.low)}  C ${points(bar.close)}`;
  put($("readout"), `${when}   ${said}`);
}

function describe() {
  const first = model.samples.get(shown.asset);
  const since = first?.length ? clockTime(first.second[first.place(0)] * 1000) : "now";
  note(hasStored(shown.asset, shown.frame) ? "Stored candles, band and venues; times in UTC." : `No stored candles of this width: what this page saw since ${since} UTC.`);
}

const note = (text) => text && put($("chart-note"), text);

function inspectByKey(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
  if (!step || !shown.bars.length) return;
  event.preventDefault();
  const found = shown.bars.findLastIndex((one) => inspected !== null && one.time <= inspected);
  const at = Math.min(shown.bars.length - 1, Math.max(0, (found < 0 ? shown.bars.length - 1 : found) + step));
  const bar = shown.bars[at];
  inspected = bar.time;
  chart.setCrosshairPosition(bar.close ?? NaN, bar.time, candleSeries);
  readOut();
}

// The key a or b: where the inspection line stands, else now.
export function cursorHere(name) {
  const time = inspected ?? shown.last;
  if (time !== null) note(setCursor(name, time, FRAMES[shown.frame].seconds));
}
