// The surface as a heat map: constant tenors by delta bucket, each number readable.
import { $, fill, press, put } from "./dom.js";
import { points, signed } from "./format.js";
import { NOT_AVAILABLE, lackOf } from "./lacks.js";
import { analytics } from "./model.js";
import { Plot, airy, daysAxis, daysScale, valueAxis } from "./plot.js";

const BUCKETS = ["put_10", "put_25", "atm", "call_25", "call_10"];
const OTHERS = ["risk_reversal_25", "butterfly_25", "skew_index"];
let mode = "iv";
let plot;

export function startSurface() {
  plot = new Plot($("skew"), (colour) => ({
    padding: [8, 0, 0, 8],
    cursor: { y: false, points: { size: 6 } },
    scales: { x: daysScale, y: { range: airy(0.15, 0.3) } },
    axes: [
      daysAxis(colour),
      valueAxis(colour, { values: (_u, at) => at.map((value) => signed(value, 1)) }),
    ],
    series: [
      {},
      { label: "RR 25", stroke: colour.accent, width: 2, points: { show: true, size: 5, fill: colour.accent } },
      { label: "BF 25", stroke: colour.warn, width: 1.5, dash: [6, 4], points: { show: true, size: 4, fill: colour.warn } },
    ],
  }));
  $("surface-mode").addEventListener("click", (event) => {
    mode = event.target.dataset.mode ?? mode;
    press($("surface-mode").children, (button) => button.dataset.mode === mode);
    drawSurface();
  });
}

export function drawSurface() {
  const record = analytics();
  const body = $("surface-table").tBodies[0];
  if (!record) {
    fill(body, []);
    plot.draw([[], [], []]);
    return put($("surface-note"), NOT_AVAILABLE);
  }
  const shown = (row, bucket) => (mode === "iv" || row[bucket] === null || row.atm === null ? row[bucket] : row[bucket] - row.atm);
  const all = record.tenors.flatMap((row) => BUCKETS.map((bucket) => shown(row, bucket))).filter((value) => value !== null);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const heat = (value) => (value === null ? undefined : (value - low) / Math.max(high - low, 0.01));
  fill(body, record.tenors.map((row) => [
    row.tenor,
    ...BUCKETS.map((bucket) => {
      const value = mode === "skew" && bucket === "atm" ? row.atm : shown(row, bucket);
      const isGround = mode === "skew" && bucket === "atm";
      const text = mode === "iv" || isGround ? points(value, 1) : signed(value, 1);
      return { t: text, c: isGround || value === null ? "ground" : "hot", heat: isGround ? undefined : heat(value), title: lackOf(record, `tenors.${row.tenor}.${bucket}`) };
    }),
    ...OTHERS.map((name) => ({ t: name === "skew_index" ? points(row[name], 0) : signed(row[name], 1), c: "plain", title: lackOf(record, `tenors.${row.tenor}.${name}`) })),
  ]));
  plot.draw([record.tenors.map((row) => Number(row.tenor.slice(0, -1))), ...["risk_reversal_25", "butterfly_25"].map((name) => record.tenors.map((row) => row[name]))]);
  const forwards = record.forwards.filter((one) => one.value !== null).map((one) => `${one.begin}–${one.end} ${points(one.value, 1)}`);
  const said = [
    record.slope === null ? null : `slope 90 d − 7 d ${signed(record.slope)}`,
    forwards.length ? `forward vol ${forwards.join(", ")}` : null,
    record.inverted ? "term structure inverted" : null,
  ].filter(Boolean);
  put($("surface-note"), said.length ? `${said.join(" · ")}.` : "\u00a0");
}
