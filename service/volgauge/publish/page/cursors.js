// Two moments of the index that somebody wants compared. Only moments whose records the page saw
// can be chosen: an explanation is asked for by number of record.
import { model, nowMs } from "./model.js";

const REACH_SECONDS = 3;

export const cursors = { a: null, b: null }; // {asset, epoch, seq, second, value}
const listeners = [];

export const onCursors = (listener) => listeners.push(listener);

// Sets one to the record nearest to an instant. Returns why not, or null.
export function setCursor(name, second, reach = REACH_SECONDS) {
  const samples = model.samples.get(model.asset);
  const at = samples ? samples.nearest(second, reach) : -1;
  if (at < 0) return "this page saw no record then; evidence is asked for by record";
  cursors[name] = {
    asset: model.asset,
    epoch: samples.epoch,
    seq: samples.seq[at],
    second: samples.second[at],
    value: samples.close[at],
  };
  told();
  return null;
}

// The next click sets A, then B, then A anew.
export function clickCursor(second, reach) {
  if (cursors.a && cursors.b) clearCursors();
  return setCursor(cursors.a ? "b" : "a", second, reach);
}

// B now, A so many seconds before; as far back as this page was there.
export function compareBack(seconds) {
  const samples = model.samples.get(model.asset);
  if (!samples?.length) return "no record yet";
  const now = nowMs() / 1000;
  clearCursors();
  const first = samples.second[samples.place(0)];
  return setCursor("a", Math.max(first, now - seconds), seconds) ?? setCursor("b", now, seconds);
}

export function clearCursors() {
  cursors.a = cursors.b = null;
  told();
}

// Older first, whichever was set first; null unless both are of this asset and this run.
export function pair() {
  const { a, b } = cursors;
  const epoch = model.samples.get(model.asset)?.epoch;
  if (![a, b].every((one) => one && one.asset === model.asset && one.epoch === epoch)) return null;
  return a.seq <= b.seq ? [a, b] : [b, a];
}

function told() {
  for (const listener of listeners) listener();
}
