// The live page: one event stream in, numbers and two charts out. Nothing is computed here but ages.
import { drawSeries, drawTerm } from "./charts.js";

const LIVE_POINTS = 3000;
const LIVE_STEP_MS = 100;
const RANGES = {
  live: null,
  day: { seconds: 86_400, resolution: 60 },
  month: { seconds: 30 * 86_400, resolution: 3600 },
  year: { seconds: 365 * 86_400, resolution: 86_400 },
};
const SILENCE_MS = 4_000; // the server tells its time every second
const REOPEN_MS = 15_000; // a dead link that nobody closed: open another
const OLD_SECONDS = 5;
const LATE_MS = 2_000; // a quote that was under way for longer, or a clock so far off

const $ = (id) => document.getElementById(id);
const state = {
  asset: null, range: "live", cursor: null, lastMessage: performance.now(), skew: 0,
  headline: new Map(), books: new Map(), surface: new Map(), live: new Map(), candles: new Map(), records: new Map(), dayAgo: new Map(),
  events: new Set(),
};
let dirty = true;

const points = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));
const signed = (value) => (value === null ? "–" : `${value <= -0.005 ? "−" : "+"}${Math.abs(value).toFixed(2)}`);
function price(value) {
  if (value === null || value === undefined) return "–";
  const decimals = Math.max(0, Math.min(6, 5 - Math.floor(Math.log10(Math.abs(value) || 1))));
  return value.toLocaleString(undefined, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}
const nowNs = () => (Date.now() + state.skew) * 1e6;

function put(id, text) {
  const node = $(id);
  if (node.textContent !== text) node.textContent = text;
}

function setLink(kind, text) {
  document.body.dataset.link = kind;
  put("link", text);
}

let stream = null;
let retryMs = 500;

function connect() {
  stream = new EventSource("/v1/stream?tenors=30d&events=recent");
  stream.addEventListener("open", () => { retryMs = 500; state.lastMessage = performance.now(); setLink("open", "live stream"); });
  stream.addEventListener("clock", (message) => { heard(); state.skew = JSON.parse(message.data).now_ns / 1e6 - Date.now(); });
  stream.addEventListener("index", (message) => { heard(); takeIndex(JSON.parse(message.data)); });
  stream.addEventListener("venue", (message) => { heard(); takeBook(JSON.parse(message.data)); });
  stream.addEventListener("surface", (message) => { heard(); takeSurface(JSON.parse(message.data)); });
  stream.addEventListener("events", (message) => { heard(); takeEvent(JSON.parse(message.data)); });
  stream.addEventListener("error", () => {
    setLink("lost", "connection lost, retrying");
    dirty = true;
    if (stream.readyState === EventSource.CLOSED) {
      stream.close();
      setTimeout(connect, retryMs);
      retryMs = Math.min(retryMs * 2, 10_000);
    }
  });
}

function reopen() {
  stream.close();
  setLink("lost", "connection lost, retrying");
  state.lastMessage = performance.now() - SILENCE_MS;
  connect();
}

function heard() {
  state.lastMessage = performance.now();
  if (document.body.dataset.link !== "open") setLink("open", "live stream");
}

function takeIndex(record) {
  if (record.tenor_days !== 30) return;
  const known = state.headline.has(record.asset);
  state.headline.set(record.asset, record);
  const history = state.live.get(record.asset) ?? [];
  state.live.set(record.asset, history);
  const fresh = record.status !== "STALE" && record.status !== "HALTED" && record.reason === null;
  const point = { t: record.computed_ns / 1e6, mid: fresh ? record.value : null, low: record.bid, high: record.ask };
  const last = history[history.length - 1];
  if (last && point.t - last.t < LIVE_STEP_MS && point.mid !== null && last.mid !== null) history[history.length - 1] = { ...point, t: last.t };
  else history.push(point);
  if (history.length > LIVE_POINTS) history.splice(0, history.length - LIVE_POINTS);
  const seen = state.records.get(record.asset) ?? [];
  seen.push([performance.now(), record.seq]);
  while (seen.length > 2 && seen[seen.length - 1][0] - seen[0][0] > 5000) seen.shift();
  state.records.set(record.asset, seen);
  if (!known) showTabs();
  dirty = true;
}

function takeBook(record) {
  if (record.tenor_days !== 30) return;
  state.books.set(`${record.asset} ${record.label}`, record);
  dirty = true;
}

function takeSurface(record) {
  state.surface.set(record.asset, record);
  dirty = true;
}

function takeEvent(event) {
  const name = `${event.epoch} ${event.asset} ${event.seq}`;
  if (event.tenor_days !== 30 || state.events.has(name)) return;
  state.events.add(name);
  const item = document.createElement("li");
  const time = new Date(event.computed_ns / 1e6).toLocaleTimeString(undefined, { hour12: false });
  const why = [event.reason, ...(event.flags ?? [])].filter(Boolean).join(", ");
  const what = event.kind === "index.fixed"
    ? `fixing ${event.name}: ${event.value === null ? "none" : event.value.toFixed(2)}`
    : `${event.before} → ${event.after}`;
  item.textContent = `${time}  ${event.asset}  ${what}${why ? `  (${why})` : ""}`;
  $("events").prepend(item);
  while ($("events").childElementCount > 50) $("events").lastElementChild.remove();
}

function showTabs() {
  const assets = [...state.headline.keys()];
  if (!state.asset || !assets.includes(state.asset)) select(location.hash.slice(1) && assets.includes(location.hash.slice(1)) ? location.hash.slice(1) : assets[0]);
  $("assets").replaceChildren(...assets.map((asset) => {
    const button = document.createElement("button");
    button.type = "button";
    button.role = "tab";
    button.textContent = asset;
    button.ariaSelected = String(asset === state.asset);
    button.addEventListener("click", () => select(asset));
    return button;
  }));
}

function select(asset) {
  state.asset = asset;
  history.replaceState(null, "", `#${asset}`);
  for (const button of $("assets").children) button.ariaSelected = String(button.textContent === asset);
  loadDayAgo(asset);
  loadCandles();
  dirty = true;
}

async function fetchCandles(asset, seconds, resolution) {
  const to = Math.floor(Date.now() / 1000) + 60;
  const answer = await fetch(`/v1/history/${asset}/30d?from=${to - seconds}&to=${to}&resolution=${resolution}`);
  if (!answer.ok) return null;
  return (await answer.json()).candles;
}

async function loadDayAgo(asset) {
  if (state.dayAgo.has(asset)) return;
  const candles = await fetchCandles(asset, 86_400, 60).catch(() => null);
  state.dayAgo.set(asset, candles && candles.length ? candles[0].open : null);
  dirty = true;
}

async function loadCandles() {
  const range = RANGES[state.range];
  if (!range || !state.asset) return;
  const key = `${state.asset} ${state.range}`;
  const candles = await fetchCandles(state.asset, range.seconds, range.resolution).catch(() => null);
  state.candles.set(key, (candles ?? []).map((c) => ({ t: c.opened_s * 1000, mid: c.close, low: c.low, high: c.high })));
  dirty = true;
}

function setRange(name) {
  state.range = name;
  for (const button of document.querySelectorAll(".ranges button")) button.ariaPressed = String(button.dataset.range === name);
  loadCandles();
  dirty = true;
}

function showHeadline(record) {
  const old = record.status === "STALE" || record.status === "HALTED";
  $("hero").classList.toggle("old", old);
  put("code", record.code);
  put("value", points(record.value));
  document.title = `${points(record.value)} ${record.asset} 30d – volgauge`;
  put("status", record.status);
  $("status").className = `pill ${record.status.toLowerCase()}`;
  put("band", record.bid === null || record.ask === null ? "–" : `${points(record.bid)} – ${points(record.ask)}`);
  put("strip", points(record.strip));
  put("strikes", String(record.n_strikes || "–"));
  const source = $("source");
  put("source", record.source);
  source.className = `badge ${record.source}`;
  const doubts = [record.reason, ...record.flags].filter(Boolean);
  $("doubt").hidden = !doubts.length;
  put("doubt", doubts.length ? `why: ${doubts.join(", ").replaceAll("_", " ")}` : "");
  const before = state.dayAgo.get(record.asset);
  const change = $("change");
  if (before && record.value !== null) {
    const by = record.value - before;
    put("change", `${by >= 0 ? "+" : "−"}${Math.abs(by).toFixed(2)} (${by >= 0 ? "+" : "−"}${Math.abs((by / before) * 100).toFixed(1)} %)`);
    change.className = by >= 0 ? "up" : "down";
    put("change-since", "in 24 h");
  } else {
    put("change", "");
    put("change-since", "");
  }
  const seen = state.records.get(record.asset) ?? [];
  const [first, last] = [seen[0], seen[seen.length - 1]];
  const rate = first && last && last[0] > first[0] ? ((last[1] - first[1]) / (last[0] - first[0])) * 1000 : null;
  put("rate", rate === null ? "–" : rate.toFixed(rate < 10 ? 1 : 0));
  showBooks(record);
}

function showBooks(record) {
  const books = Object.entries(record.venues);
  const absent = books.filter(([, book]) => book.state !== "in");
  put("books", books.length ? `${books.length - absent.length} of ${books.length}` : "–");
  $("books").className = !absent.length ? "" : absent.length === books.length ? "late" : "fewer";
  $("absent").hidden = !absent.length;
  put("absent", absent.length ? `not counted: ${absent.map(([label, book]) => `${label} (${book.state})`).join(", ")}` : "");
  $("venues").replaceChildren(...books.map(([label, book]) => {
    const apart = book.value === null || record.value === null ? null : book.value - record.value;
    const [lag, late] = lagOf(state.books.get(`${record.asset} ${label}`));
    const line = row([breakable(label), make("span", book.state, `pill ${book.state}`), points(book.value), signed(apart), weightBar(book.weight), make("span", lag, late ? "late" : "")], [0, 1, 4]);
    line.className = book.state;
    return line;
  }));
}

function lagOf(told) {
  const age = told?.data_ns ? (nowNs() - told.data_ns) / 1e9 : 0;
  if (age > OLD_SECONDS) return [`silent ${Math.round(age)} s`, true];
  if (!told || told.lag_ms === null) return ["–", false];
  const ms = Math.abs(told.lag_ms);
  const text = ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(1)} s`;
  return [told.lag_ms < 0 ? `−${text}` : text, ms > LATE_MS];
}

function breakable(label) {
  const [venue, currency] = label.split(":");
  const cell = document.createDocumentFragment();
  cell.append(venue);
  if (currency) cell.append(":", document.createElement("wbr"), currency);
  return cell;
}

function weightBar(weight) {
  const cell = document.createDocumentFragment();
  const track = make("span", "", "track");
  const bar = document.createElement("i");
  bar.style.width = `${(weight * 100).toFixed(1)}%`;
  track.append(bar);
  cell.append(track, `${(weight * 100).toFixed(0)} %`);
  return cell;
}

function make(tag, text, className) {
  const node = document.createElement(tag);
  node.textContent = text;
  node.className = className;
  return node;
}

function row(cells, left = [0]) {
  const line = document.createElement("tr");
  cells.forEach((content, i) => {
    const cell = document.createElement("td");
    cell.append(content);
    if (left.includes(i)) cell.className = "left";
    line.append(cell);
  });
  return line;
}

function showSurface(surface, record) {
  put("spot", price(surface.index_price));
  put("venue-index", points(surface.venue_index));
  const used = new Map((record?.expiries ?? []).map((e) => [`${e.book} ${e.expiry}`, e.weight]));
  const lines = surface.expiries.toSorted((a, b) => a.t_years - b.t_years);
  $("expiries").replaceChildren(...lines.map((e) => {
    const refused = Object.entries(e.rejected).map(([why, n]) => `${n} ${why.replaceAll("_", " ")}`).join(", ");
    const weight = used.get(`${e.book} ${e.expiry}`);
    const line = row([
      e.expiry.slice(0, 10), e.book, (e.t_years * 365).toFixed(1), price(e.forward), points(e.implied_vol), points(e.strip),
      String(e.n_strikes), weight === undefined ? "" : weight.toFixed(3), [refused, ...e.flags].filter(Boolean).join("; "),
    ], [0, 1, 8]);
    if (weight !== undefined) line.className = "used";
    return line;
  }));
  const tenors = Object.entries(surface.term).map(([label, value]) => ({ days: parseFloat(label), value })).sort((a, b) => a.days - b.days);
  drawTerm($("term"), tenors, surface.expiries.map((e) => ({ days: e.t_years * 365, value: e.implied_vol })));
}

function showAge(record) {
  const banner = $("banner");
  const silence = performance.now() - state.lastMessage;
  if (silence > REOPEN_MS && stream.readyState === EventSource.OPEN) reopen();
  if (silence > SILENCE_MS && document.body.dataset.link === "open") setLink("lost", "no news from the server");
  const silent = document.body.dataset.link === "lost";
  const age = record ? Math.max(0, (nowNs() - record.event_ns) / 1e9) : null;
  put("age", age === null ? "–" : age < 10 ? `${age.toFixed(1)} s` : `${Math.round(age)} s`);
  $("age").className = age !== null && age > OLD_SECONDS ? "late" : "";
  let text = "";
  if (silent) text = "No connection to the server: the numbers below are old";
  else if (record?.status === "STALE") text = `STALE: no valid value for ${Math.round(age)} s, the last accepted one is shown`;
  else if (record?.status === "HALTED") text = `HALTED: ${(record.reason ?? "no value").replaceAll("_", " ")}`;
  banner.hidden = !text;
  if (banner.textContent !== text) banner.textContent = text;
  $("hero").classList.toggle("old", silent || record?.status === "STALE" || record?.status === "HALTED");
}

function showChart() {
  const range = RANGES[state.range];
  const data = range ? state.candles.get(`${state.asset} ${state.range}`) ?? [] : state.live.get(state.asset) ?? [];
  const nearest = drawSeries($("chart"), data, { gap: range ? range.resolution * 3000 : 5000, cursor: state.cursor });
  const note = nearest
    ? `${new Date(nearest.t).toISOString().replace("T", " ").slice(0, range ? 16 : 23)} UTC   ${points(nearest.mid)}   ${points(nearest.low)} – ${points(nearest.high)}`
    : range ? "band: low and high of each candle" : "";
  put("chart-note", note);
}

function frame() {
  const record = state.headline.get(state.asset);
  showAge(record);
  if (dirty && !document.hidden) {
    dirty = false;
    if (record) showHeadline(record);
    const surface = state.surface.get(state.asset);
    if (surface) showSurface(surface, record);
    showChart();
  }
}

document.querySelector(".ranges").addEventListener("click", (event) => event.target.dataset.range && setRange(event.target.dataset.range));
$("chart").addEventListener("pointermove", (event) => { state.cursor = event.offsetX; dirty = true; });
$("chart").addEventListener("pointerleave", () => { state.cursor = null; dirty = true; });
addEventListener("resize", () => { dirty = true; });
addEventListener("visibilitychange", () => { dirty = true; });
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => { dirty = true; });
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const assets = [...state.headline.keys()];
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && assets.length) select(assets[(assets.indexOf(state.asset) + step + assets.length) % assets.length]);
  const range = Object.keys(RANGES)[Number(event.key) - 1];
  if (range) setRange(range);
});
setInterval(frame, 100);
setInterval(loadCandles, 60_000);
fetch("/v1/about").then((answer) => answer.json()).then((about) => put("build", `volgauge ${about.version} · methodology ${about.methodology} · ${about.mode}`)).catch(() => {});
connect();
