// Where positions stand: open interest, what it says of volatility, and gamma by strike.
import { $, put, readings } from "./dom.js";
import { amount, points } from "./format.js";
import { NOT_AVAILABLE, lackOf, lacksOf } from "./lacks.js";
import { analytics } from "./model.js";
import { Plot, axis, valueAxis } from "./plot.js";
import uPlot from "./vendor/uplot/uPlot.esm.js";

let plot;

export function startInterest() {
  plot = new Plot($("interest-plot"), (colour) => ({
    padding: [8, 0, 0, 8],
    cursor: { y: false, points: { show: false } },
    scales: { x: { time: false, range: (_u, low, high) => [low * 0.97, high * 1.03] }, y: { range: (_u, _low, high) => [0, (high || 1) * 1.1] } },
    axes: [axis(colour, { size: 22, space: 60, values: (_u, at) => at.map((strike) => amount(strike)) }), valueAxis(colour, { values: (_u, at) => at.map((value) => amount(value)) })],
    series: [{}, { label: "gamma", stroke: colour.accent, fill: colour.area, paths: uPlot.paths.bars({ size: [0.6, 16, 2] }), points: { show: false } }],
  }));
}

export function drawInterest() {
  const record = analytics();
  if (!record) return put($("interest-note"), NOT_AVAILABLE);
  const { interest } = record;
  plot.draw([interest.strikes.map((one) => one.strike), interest.strikes.map((one) => one.gamma)]);
  const row = (label, text, name, title) => [label, text, { title: lackOf(record, `interest.${name}`) ?? title }];
  readings($("interest"), [
    row("IV by open interest", points(interest.value), "value"),
    row("IV by vega", points(interest.vega_iv), "vega_iv"),
    row("IV by volume", points(interest.volume_iv), "volume_iv"),
    row("Open interest", amount(interest.open_interest), "open_interest", "coins"),
    row("Volume, 24 h", amount(interest.volume), "volume", "coins"),
    row("Put/call interest", points(interest.put_call_interest), "put_call_interest"),
    row("Put/call volume", points(interest.put_call_volume), "put_call_volume"),
    row("Gamma, 1 %", amount(interest.gamma), "gamma", "coins per 1 % move, all positions counted as long"),
    row("Vega", amount(interest.vega), "vega", "quote currency per point"),
  ]);
  put($("interest-note"), lacksOf(record, "interest.") || "Gamma by strike, coins per 1 % move.");
}
