// What came true, by every estimator, and what implied volatility pays above it.
import { $, put, readings } from "./dom.js";
import { percent, points, signed } from "./format.js";
import { NOT_AVAILABLE, lackOf, lacksOf } from "./lacks.js";
import { analytics } from "./model.js";

const ESTIMATORS = [
  ["close_close", "Close to close 30 d"], ["parkinson", "Parkinson"], ["garman_klass", "Garman–Klass"],
  ["rogers_satchell", "Rogers–Satchell"], ["yang_zhang", "Yang–Zhang"], ["five_minute", "5-minute, 24 h"],
  ["bipower", "Bipower, 24 h"], ["one_second", "1-second, 1 h"], ["ewma", "EWMA"],
  ["trailing_30d", "Trailing 30 d"], ["har", "HAR, next 30 d"],
];
const PREMIA = [["ex_ante_points", "IV − HAR"], ["trailing_points", "IV − trailing"], ["ex_post_points", "30 d ago IV − since"]];

export function drawRealized() {
  const record = analytics();
  if (!record) return put($("realized-note"), NOT_AVAILABLE);
  const { realized, premium } = record;
  readings($("realized"), [
    ["Implied now", points(record.value, 1), { c: "strong" }],
    ...ESTIMATORS.map(([name, label]) => [label, points(realized[name], 1), { title: lackOf(record, `realized.${name}`) }]),
    ["Jump share", percent(realized.jump_share), { title: lackOf(record, "realized.jump_share") ?? "of the variance of the last 24 h" }],
    ...PREMIA.map(([name, label]) => [label, signed(premium[name], 1), { c: tone(premium[name]), title: lackOf(record, `premium.${name}`) ?? "volatility points" }]),
  ]);
  put($("realized-note"), `${points(realized.days, 0)} days of prices behind this. ${lacksOf(record, "realized.", "premium.")}`);
}

const tone = (value) => (value === null ? "none" : value >= 0 ? "strong up" : "strong down");
