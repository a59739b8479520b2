// The strip of state, the number, and the facts beside it. What is old, held or lost must not be
// missed: by its word, by its colour, and by the number itself, which is struck out.
import { $, put, setClass } from "./dom.js";
import { NONE, clockTime, dateTime, points, price, seconds, signed, words } from "./format.js";
import { candles } from "./fetch.js";
import { analytics, headline, isOld, model, nowMs } from "./model.js";
import { link } from "./stream.js";
import { drawTabs } from "./tabs.js";

const OLD_SECONDS = 5;
const DAY = 86_400;
const DAY_AGO_EVERY_MS = 60_000;
const SOURCES = { live: "live", simulated: "simulated", replay: "replay", file: "file" };

const dayAgo = new Map(); // asset -> {value, asked}

export function drawHeader() {
  const isLost = link.state === "lost";
  drawTabs(isLost);
  put($("clock"), `${clockTime(nowMs())} UTC`);
  put($("link"), { open: "live stream", lost: "no connection", connecting: "connecting" }[link.state]);
  document.body.dataset.link = link.state;
  const record = headline();
  if (!record) return drawStrip({ state: isLost ? "lost" : "warming", ...(isLost ? lost() : waiting()) });
  const state = isLost ? "lost" : record.status.toLowerCase();
  drawStrip({ state, ...(isLost ? lost() : sentence(record)) });
  drawNumber(record, isLost);
  drawFacts(record);
  drawAbsent(record);
}

function drawStrip({ state, word, text }) {
  if (document.body.dataset.state !== state) document.body.dataset.state = state;
  put($("banner-word"), word);
  put($("banner-text"), text);
}

const waiting = () => ({ word: "WARMING", text: "waiting for the first record" });

function lost() {
  const since = link.lostAtMs === null ? "" : ` since ${clockTime(link.lostAtMs + model.skewMs)} UTC`;
  return { word: "NO CONNECTION", text: `to the server${since}: nothing here moves. Retrying.` };
}

function sentence(record) {
  const why = [record.reason, ...record.flags].filter(Boolean).map(words).join(", ");
  const age = seconds(ageSeconds(record));
  const word = record.status;
  const plain = {
    OK: "several venues contribute and agree",
    SINGLE_VENUE: "one venue alone contributes",
    DEGRADED: `the value may be off: ${why}`,
    GUARD: `a jump to ${points(record.candidate)} is held back; the number is the last one accepted`,
    STALE: `${why || "no valid value"}: the number is ${age} old`,
    HALTED: `${why || "no valid value"}: there is no value`,
    WARMING: why || "the first full snapshot has not come yet",
  };
  return { word, text: plain[word] ?? why };
}

const ageSeconds = (record) => Math.max(0, nowMs() - record.event_ns / 1e6) / 1000;

function drawNumber(record, isLost) {
  const isDead = isOld(record) || isLost;
  put($("code"), record.code);
  put($("value"), points(record.value));
  setClass($("value"), record.value === null ? "absent" : isDead ? "dead" : record.status === "GUARD" ? "held" : "");
  const valid = model.lastValid.get(record.asset);
  put($("last"), record.value === null && valid ? `last ${points(valid.value)} at ${dateTime(valid.ms)} UTC` : "");
  const mark = isLost ? "LOST " : isOld(record) ? `${record.status} ` : "";
  const title = `${mark}${points(record.value)} ${record.asset} 30d – volgauge`;
  if (document.title !== title) document.title = title;
  const icon = isDead ? "/page/icon-alert.svg" : "/page/icon.svg";
  if ($("icon").getAttribute("href") !== icon) $("icon").setAttribute("href", icon);
  drawChange(record);
}

function drawChange(record) {
  refreshDayAgo(record.asset);
  const before = dayAgo.get(record.asset)?.value ?? null;
  const node = $("change");
  if (before === null || record.value === null || isOld(record)) {
    put(node, record.value === null ? "" : NONE);
    setClass(node, "");
    return put($("change-since"), record.value === null ? "" : "in 24 h");
  }
  const by = record.value - before;
  put(node, `${signed(by)}  (${signed((100 * by) / before, 1)} %)`);
  setClass(node, by >= 0 ? "up" : "down");
  put($("change-since"), `in 24 h, from ${points(before)}`);
}

async function refreshDayAgo(asset) {
  const known = dayAgo.get(asset);
  if (known && performance.now() - known.asked < DAY_AGO_EVERY_MS) return;
  dayAgo.set(asset, { value: known?.value ?? null, asked: performance.now() });
  const then = nowMs() / 1000 - DAY;
  const found = await candles(asset, "30d", then - 900, then + 900, 60);
  const nearest = found?.reduce((best, one) => (!best || Math.abs(one.opened_s - then) < Math.abs(best.opened_s - then) ? one : best), null);
  if (nearest) dayAgo.get(asset).value = nearest.close;
}

function drawFacts(record) {
  const age = ageSeconds(record);
  put($("status"), record.status);
  setClass($("status"), `pill ${record.status.toLowerCase()}`);
  put($("age"), seconds(age));
  setClass($("age"), age > OLD_SECONDS ? "late" : "");
  put($("band"), record.bid === null || record.ask === null ? NONE : `${points(record.bid)} – ${points(record.ask)}`);
  put($("strip"), points(record.strip));
  put($("strikes"), record.n_strikes ? String(record.n_strikes) : NONE);
  put($("quality"), points(record.quality));
  const source = SOURCES[record.source] ?? record.source;
  put($("source"), source);
  setClass($("source"), `badge ${source}`);
  const surface = model.surface.get(record.asset);
  put($("spot"), price(surface?.index_price));
  put($("venue-index"), points(surface?.venue_index));
  const rate = model.rates.get(record.asset)?.perSecond ?? null;
  put($("rate"), rate === null ? NONE : rate.toFixed(1));
  const reading = analytics();
  put($("regime-now"), reading ? words(reading.regime.absolute ?? NONE) : NONE);
  put($("exposure-now"), reading && reading.scaling.exposure !== null ? `${points(reading.scaling.exposure)} ×` : NONE);
}

function drawAbsent(record) {
  const books = Object.entries(record.venues);
  const absent = books.filter(([, one]) => one.state !== "in").map(([label, one]) => `${label} (${one.state})`);
  put($("books"), books.length ? `${books.length - absent.length} of ${books.length}` : NONE);
  setClass($("books"), absent.length ? "fewer" : "");
  put($("absent"), absent.length ? `· not counted: ${absent.join(", ")}` : "");
}

