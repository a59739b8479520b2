// What is wrong now, and what happened: active alerts first, then every event, newest first.
import { ask } from "./fetch.js";
import { $, feed, put, setClass } from "./dom.js";
import { clockTime, dateTime, points, words } from "./format.js";
import { model, replaceAlerts } from "./model.js";

const EVERY_MS = 30_000;
const DAY_MS = 86_400_000;
let askedAt = -Infinity;
let state = "asking";

export async function drawAlerts() {
  show();
  const now = performance.now();
  if (now - askedAt < EVERY_MS || model.about?.alerts === false) return;
  askedAt = now;
  const { body } = await ask("/v1/alerts");
  state = body ? "known" : "absent";
  if (body) replaceAlerts(body.active);
  show();
}

function show() {
  const rank = { critical: 0, warning: 1, info: 2 };
  const active = [...model.alerts.values()].sort((a, b) => rank[a.severity] - rank[b.severity] || b.raised_ns - a.raised_ns);
  const none = state === "absent" ? "Not available: this server raises no alerts, or not yet." : "No alert is active.";
  feed($("alerts"), active.length ? active.map(alertLine) : [{ t: none, c: "quiet" }]);
  put($("alert-count"), active.length ? String(active.length) : "");
  setClass($("alert-count"), `count ${active[0]?.severity ?? ""}`);
  feed($("events"), model.events.length ? model.events.map(eventLine) : [{ t: "Nothing yet.", c: "quiet" }]);
}

function when(ns) {
  const ms = ns / 1e6;
  return Date.now() - ms > DAY_MS ? dateTime(ms) : clockTime(ms);
}

// A message that names its subject needs no other name.
const named = (event) => (event.message.startsWith(event.subject) ? event.message : `${event.subject}: ${event.message}`);

const alertLine = (event) => ({
  t: `${event.severity.toUpperCase()}  ${named(event)}  (since ${when(event.raised_ns)})`,
  c: `alert ${event.severity}`,
  title: words(event.rule),
});

function eventLine(event) {
  const time = when(event.computed_ns);
  if (event.kind === "alert") return { t: `${time}  ${words(event.rule)} ${event.edge}: ${named(event)}`, c: `alert ${event.edge === "raised" ? event.severity : "cleared"}` };
  if (event.kind === "index.fixed") return { t: `${time}  ${event.asset}  fixing ${words(event.name)}: ${points(event.value)}`, c: "" };
  const why = [event.reason, ...(event.flags ?? [])].filter(Boolean).map(words).join(", ");
  return { t: `${time}  ${event.asset}  ${event.before} → ${event.after}${why ? `  (${why})` : ""}`, c: `status ${event.after.toLowerCase()}` };
}
