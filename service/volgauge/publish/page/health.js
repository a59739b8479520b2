// Who contributes, how fast, and what is refused.
import { $, fill, put } from "./dom.js";
import { counts, lag, percent, points, seconds, signed } from "./format.js";
import { headline, model, nowMs } from "./model.js";
import { link } from "./stream.js";
import { venueIndex } from "./theme.js";

const LATE_MS = 2_000; // a quote that was under way for longer, or a clock so far off
const SILENT_SECONDS = 5;

export function drawHealth() {
  const record = headline();
  if (!record) return;
  const rejected = refusals(record.asset);
  const labels = Object.keys(record.venues).sort((a, b) => record.venues[b].weight - record.venues[a].weight || a.localeCompare(b));
  fill($("venues"), labels.map((label) => {
    const one = record.venues[label];
    const told = model.books.get(record.asset)?.get(label);
    const by = one.value === null || record.value === null ? null : one.value - record.value;
    const refused = rejected.get(label);
    return {
      cls: one.state === "in" ? "" : one.state === "down" ? "down" : "out",
      cells: [
        { t: label, c: `book v${venueIndex(label)}` },
        { t: one.state, c: `left state ${one.state}` },
        points(one.value),
        signed(by),
        { t: percent(one.weight), c: "left", bar: one.weight },
        delay(told),
        { t: refused ? `${refused.used}` : "–", c: "wide-only" },
        { t: refused ? counts(refused.reasons) || "–" : "–", c: "left dim wide-only" },
      ],
    };
  }));
  const about = model.about;
  const build = about ? `volgauge ${about.version}, methodology ${about.methodology}, rules ${about.mode}` : "build unknown";
  put($("health-note"), `${build}. Epoch ${record.epoch}, record ${record.seq}. Stream: ${link.state}.`);
}

function delay(told) {
  if (!told) return "–";
  const silent = told.data_ns ? (nowMs() - told.data_ns / 1e6) / 1000 : null;
  if (silent !== null && silent > SILENT_SECONDS) return { t: `silent ${seconds(silent)}`, c: "late" };
  const isLate = told.lag_ms !== null && Math.abs(told.lag_ms) > LATE_MS;
  return { t: lag(told.lag_ms), c: isLate ? "late" : "" };
}

// By book: strikes used and what was refused, over all its expiries.
function refusals(asset) {
  const books = new Map();
  for (const one of model.surface.get(asset)?.expiries ?? []) {
    const label = one.book || one.venue;
    const known = books.get(label) ?? { used: 0, reasons: {} };
    known.used += one.n_strikes;
    for (const [reason, n] of Object.entries(one.rejected)) known.reasons[reason] = (known.reasons[reason] ?? 0) + n;
    books.set(label, known);
  }
  return books;
}
