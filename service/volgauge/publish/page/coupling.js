// How the indices move together: the matrix, every pair, and the market as one.
import { $, fill, press, put, readings } from "./dom.js";
import { percent, points, seconds, signed } from "./format.js";
import { NOT_AVAILABLE, lacksOf } from "./lacks.js";
import { model } from "./model.js";

let halfLife = "1d";

export function startCoupling() {
  $("half-life").addEventListener("click", (event) => {
    halfLife = event.target.dataset.half ?? halfLife;
    press($("half-life").children, (button) => button.dataset.half === halfLife);
    drawCoupling();
  });
}

export function drawCoupling() {
  const record = model.coupling;
  const table = $("coupling-matrix");
  if (!record) {
    fill(table.tHead, []);
    fill(table.tBodies[0], []);
    fill($("coupling-pairs").tBodies[0], []);
    return put($("coupling-note"), NOT_AVAILABLE);
  }
  const between = new Map();
  for (const pair of record.pairs) {
    between.set(`${pair.first} ${pair.second}`, pair);
    between.set(`${pair.second} ${pair.first}`, pair);
  }
  fill(table.tHead, [["", ...record.assets]]);
  fill(table.tBodies[0], record.assets.map((row) => [
    row,
    ...record.assets.map((column) => {
      if (row === column) return { t: "1", c: "ground" };
      const value = between.get(`${row} ${column}`)?.correlations[halfLife] ?? null;
      return { t: points(value), c: value === null ? "ground" : "hot tone", tone: value ?? undefined, title: `${row} and ${column}, half-life ${halfLife}` };
    }),
  ]));
  const { spillover } = record;
  readings($("coupling-facts"), [
    ["Systemic", percent(record.systemic), { title: "share of the first eigenvalue, 0 to 100 %" }],
    ["Spillover", spillover ? `${points(spillover.total, 1)} %` : "–", { title: "share of forecast error that comes from the others" }],
    ...(spillover ? spillover.assets.map((asset) => [`net ${asset}`, signed(spillover.net[asset], 1), { title: "to the others less from them, percent" }]) : []),
  ]);
  fill($("coupling-pairs").tBodies[0], record.pairs.map((pair) => ({
    cls: pair.decoupled ? "alarm" : "",
    cells: [
      `${pair.first}–${pair.second}`,
      points(pair.hayashi_yoshida),
      { t: pair.lead_seconds === null ? "–" : leader(pair), title: "the one that moves first, by how much" },
      points(pair.beta),
      signed(pair.spread_z, 1),
      { t: pair.decoupled === null ? "–" : pair.decoupled ? "DECOUPLED" : "coupled", c: "left" },
    ],
  })));
  put($("coupling-note"), lacksOf(record, "") || "\u00a0");
}

function leader(pair) {
  if (pair.lead_seconds === 0) return "none";
  const first = pair.lead_seconds > 0;
  return `${first ? pair.first : pair.second} ${seconds(Math.abs(pair.lead_seconds))}`;
}
