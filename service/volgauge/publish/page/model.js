// What the page knows of the market: the newest record of everything, and the last hour of each
// index. Records come in through `take`, panels read; no number of the market is computed here.
import { Samples } from "./samples.js";

const MOST_EVENTS = 60;
const RATE_SECONDS = 5;

export const model = {
  asset: null,
  assets: [],
  index: new Map(), // asset -> headline record
  books: new Map(), // asset -> Map of book -> venue record
  surface: new Map(),
  analytics: new Map(),
  coupling: null,
  samples: new Map(), // asset -> Samples
  lastValid: new Map(), // asset -> {value, ms}: for saying what was, never as a value
  events: [], // newest first
  alerts: new Map(), // episode -> its raising event
  rates: new Map(),
  about: null,
  skewMs: 0,
  version: 0, // rises with everything that is taken
};

export const nowMs = () => Date.now() + model.skewMs;
export const isOld = (record) => record.status === "STALE" || record.status === "HALTED";
export const headline = () => model.index.get(model.asset);
export const analytics = () => model.analytics.get(model.asset);
export const hasFresh = (record) =>
  record.value !== null && record.reason === null && !isOld(record) && record.status !== "GUARD";

const takers = {
  clock(message) {
    model.skewMs = message.now_ns / 1e6 - Date.now();
  },
  index(record) {
    if (record.tenor_days !== 30) return;
    const { asset } = record;
    if (!model.index.has(asset)) {
      model.assets = [...model.assets, asset].sort();
      model.samples.set(asset, new Samples());
    }
    model.index.set(asset, record);
    const isFresh = hasFresh(record);
    model.samples.get(asset).take(record, isFresh);
    if (isFresh) model.lastValid.set(asset, { value: record.value, ms: record.computed_ns / 1e6 });
    countRate(record);
  },
  venue(record) {
    if (record.tenor_days !== 30) return;
    if (!model.books.has(record.asset)) model.books.set(record.asset, new Map());
    model.books.get(record.asset).set(record.label, record);
  },
  surface(record) {
    model.surface.set(record.asset, record);
  },
  analytics(record) {
    model.analytics.set(record.asset, record);
  },
  coupling(record) {
    model.coupling = record;
  },
  events(event) {
    if (event.tenor_days !== undefined && event.tenor_days !== 30) return;
    if (event.kind === "alert") takeAlert(event);
    const name = `${event.epoch} ${event.asset} ${event.seq} ${event.kind}`;
    if (model.events.some((known) => known.name === name)) return;
    model.events.unshift({ name, ...event });
    model.events.length = Math.min(model.events.length, MOST_EVENTS);
  },
};

export const KINDS = Object.keys(takers);

export function take(kind, message) {
  takers[kind](message);
  model.version += 1;
}

function takeAlert(event) {
  if (event.edge === "raised") model.alerts.set(event.episode, event);
  else model.alerts.delete(event.episode);
}

// The server's own list: what began before a restart of it is no longer active.
export function replaceAlerts(active) {
  model.alerts = new Map(active.map((event) => [event.episode, event]));
  model.version += 1;
}

function countRate(record) {
  const now = performance.now();
  const known = model.rates.get(record.asset);
  if (!known || known.epoch !== record.epoch) {
    model.rates.set(record.asset, { epoch: record.epoch, from: now, seq: record.seq, perSecond: null });
  } else if (now - known.from >= RATE_SECONDS * 1000) {
    known.perSecond = ((record.seq - known.seq) * 1000) / (now - known.from);
    known.from = now;
    known.seq = record.seq;
  }
}
