// In which regime the index is, and what a position scaled to a volatility target should be.
import { $, put, readings, resize, setClass } from "./dom.js";
import { percent, points, signed, words } from "./format.js";
import { NOT_AVAILABLE, lackOf, lacksOf } from "./lacks.js";
import { analytics, model } from "./model.js";

const BANDS = ["dried_up", "quiet", "healthy", "mania", "extreme"];
const USUAL_BOUNDS = [60, 80, 110, 150]; // of a server that does not tell its own
const AIR = 1.2; // the last band has no end: draw so much of it
const NS_PER_MINUTE = 6e10;

export function drawRegime() {
  const record = analytics();
  if (!record) return put($("regime-note"), NOT_AVAILABLE);
  drawScale(record);
  const { regime, scaling, flow, leverage, level, markers } = record;
  const times = (value) => (value === null ? "–" : `${points(value)} ×`);
  const row = (label, text, path, title) => [label, text, { title: text === "–" ? lackOf(record, path) ?? title : title }];
  readings($("regime"), [
    row("Absolute", regime.absolute ? words(regime.absolute) : "–", "regime.absolute", since(record, regime.absolute_since_ns)),
    row("Against its year", regime.adaptive ? words(regime.adaptive) : "–", "regime.adaptive", since(record, regime.adaptive_since_ns)),
    row("IV rank", level.rank === null ? "–" : `${points(level.rank, 0)} %`, "level.rank", `${points(level.days, 0)} days of history`),
    row("IV percentile", level.percentile === null ? "–" : `${points(level.percentile, 0)} %`, "level.percentile"),
    row("Vol of vol", points(level.vol_of_vol, 1), "level.vol_of_vol"),
    row("Target", points(scaling.target, 1), "scaling.target", "volatility that the position aims at"),
    row("Sigma", points(scaling.sigma, 1), "scaling.sigma", "blend of implied and realised"),
    ["Exposure", times(scaling.exposure), { c: scaling.exposure === null ? "none" : "strong", title: lackOf(record, "scaling.exposure") ?? "after damping, throttles and the no-trade buffer" }],
    row("Raw", times(scaling.raw_exposure), "scaling.raw_exposure", "target over sigma, capped"),
    row("By variance", times(scaling.variance_exposure), "scaling.variance_exposure"),
    row("By risk budget", times(scaling.budget_size), "scaling.budget_size", "multiples of capital, one day"),
    row("Depth throttle", percent(scaling.depth_throttle), "scaling.depth_throttle"),
    row("Flow throttle", percent(scaling.flow_throttle), "scaling.flow_throttle"),
    row("Leverage throttle", percent(scaling.leverage_throttle), "scaling.leverage_throttle"),
    row("Margin", times(scaling.margin_multiplier), "scaling.margin_multiplier"),
    row("Flow imbalance", signed(flow.imbalance), "flow.imbalance", "vega-weighted order flow of the last minute, −1 to 1"),
    row("Funding, 8 h", leverage.funding_mean === null ? "–" : `${signed(leverage.funding_mean * 1e4, 2)} bp`, "leverage.funding_mean"),
    row("Funding spread", leverage.funding_spread === null ? "–" : `${points(leverage.funding_spread * 1e4, 2)} bp`, "leverage.funding_spread"),
  ]);
  const marks = [markers.weekend ? "weekend" : null, markers.roll ? "options expire within 30 minutes" : null].filter(Boolean);
  const lacks = lacksOf(record, "regime.", "level.", "scaling.", "flow.", "leverage.");
  put($("regime-note"), `${marks.length ? `Marked: ${marks.join(", ")}. ` : ""}${lacks}` || "\u00a0");
}

function since(record, instantNs) {
  if (instantNs === null) return undefined;
  return `for ${Math.max(0, Math.round((record.computed_ns - instantNs) / NS_PER_MINUTE))} minutes`;
}

function drawScale(record) {
  const box = $("regime-scale");
  const bounds = model.about?.absolute_bands ?? USUAL_BOUNDS;
  const top = Math.max(bounds.at(-1) * AIR, record.value ?? 0);
  const ends = [...bounds, top];
  resize(box, BANDS.length + 1, () => document.createElement("span"));
  BANDS.forEach((name, at) => {
    const band = box.children[at];
    put(band, words(name));
    setClass(band, record.regime.absolute === name ? "in" : "");
    band.style.setProperty("--share", String((ends[at] - (ends[at - 1] ?? 0)) / top));
  });
  const marker = box.lastElementChild;
  setClass(marker, "marker");
  marker.hidden = record.value === null;
  if (record.value !== null) marker.style.setProperty("--share", String(record.value / top));
}
