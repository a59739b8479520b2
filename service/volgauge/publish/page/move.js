// Why did it move: the difference of two records, by cause and by place. The answer is that of
// /v1/explain, which is `volgauge explain`; only sorted and drawn here.
import { ask } from "./fetch.js";
import { $, fill, put, setClass } from "./dom.js";
import { clearCursors, compareBack, cursors, onCursors, pair } from "./cursors.js";
import { clockTime, expiryName, points, price, signed, words } from "./format.js";
import { markTabs, startTabs } from "./keys.js";
import { model } from "./model.js";

const ORDER = ["time", "forward", "quote", "fit", "term", "weight"];
const MEANINGS = {
  time: "weights of the expiries moved on; quotes grew too old",
  forward: "every quote at its own volatility and the new forward",
  quote: "quotes that changed",
  fit: "the curve's outer parameters were looked for anew",
  term: "variances pooled or carried across expiries",
  weight: "a book counts for more or less than before",
};
const MOST_PARTS = 14;
const DIGITS = 4;
const RETRY_MS = 3_000;
let asked = null;

export function startMove() {
  const list = $("tab-level").parentElement;
  startTabs(list, (tab) => chooseTab(tab.getAttribute("aria-controls")));
  for (const button of document.querySelectorAll("[data-back]")) {
    button.addEventListener("click", () => {
      const refusal = compareBack(Number(button.dataset.back));
      if (refusal) put($("move-note"), `${refusal}.`);
    });
  }
  $("cursor-clear").addEventListener("click", clearCursors);
  onCursors(() => {
    if (cursors.a && cursors.b) chooseTab("move");
    drawMove();
  });
}

export function chooseTab(name) {
  for (const panel of ["level", "move"]) $(panel).hidden = panel !== name;
  markTabs($("tab-level").parentElement, (tab) => tab.getAttribute("aria-controls") === name);
}

export async function drawMove() {
  for (const name of ["a", "b"]) {
    const one = cursors[name]?.asset === model.asset ? cursors[name] : null;
    put($(`cursor-${name}`), one ? `${name.toUpperCase()} ${clockTime(one.second * 1000)}` : `${name.toUpperCase()} –`);
  }
  const both = pair();
  if (!both) {
    asked = null;
    return empty("Click the chart twice, or press a and b on it, to compare two moments.");
  }
  const [older, newer] = both;
  const path = `/v1/explain/${model.asset}/${newer.seq}?against=${older.seq}`;
  if (asked === path) return;
  asked = path;
  if (older.seq === newer.seq) return empty("Both cursors stand on one record.");
  empty("…");
  const { body, error, code } = await ask(path);
  if (asked !== path) return;
  if (!body) {
    // No word from the server is no refusal: ask again.
    if (!code) setTimeout(() => asked === path && again(), RETRY_MS);
    return empty(`Not available: ${error}.`);
  }
  if (body.difference === null) return empty("One of the two records has no value.");
  show(body);
}

function again() {
  asked = null;
  drawMove();
}

function empty(text) {
  put($("move-head"), text);
  setClass($("move-head"), "move-head");
  fill($("move-causes").tBodies[0], []);
  fill($("move-parts").tBodies[0], []);
  put($("move-note"), "\u00a0");
}

function show(move) {
  put($("move-head"), `${points(move.before)} → ${points(move.after)}  =  ${signed(move.difference, DIGITS)} points`);
  setClass($("move-head"), `move-head ${move.difference >= 0 ? "up" : "down"}`);
  const most = Math.max(...Object.values(move.totals).map(Math.abs), 1e-12);
  const known = ORDER.filter((cause) => move.totals[cause] !== undefined);
  fill($("move-causes").tBodies[0], known.map((cause) => {
    const by = move.totals[cause];
    const share = Math.abs(by) / most / 2;
    return {
      title: MEANINGS[cause],
      cells: [
        cause,
        { t: signed(by, DIGITS), c: "strong" },
        { t: "", c: "diverging", split: by < 0 ? [share, 0] : [0, share] },
      ],
    };
  }));
  const parts = [...move.causes].sort((a, b) => Math.abs(b.points) - Math.abs(a.points)).slice(0, MOST_PARTS);
  fill($("move-parts").tBodies[0], parts.map((part) => [
    words(part.cause),
    { t: where(part), c: "left" },
    { t: quoteOf(part), c: "left dim", title: quoteOf(part) || undefined },
    { t: signed(part.points, DIGITS), c: part.points >= 0 ? "up" : "down" },
  ]));
  const service = location.origin;
  const bundle = (seq) => `${service}/v1/evidence/${model.asset}/${seq}`;
  put($("move-note"), `${move.causes.length} parts sum to the move. The same: volgauge explain ${bundle(move.to_seq)} --against ${bundle(move.from_seq)}`);
}

function where(part) {
  const place = [part.venue, part.expiry ? expiryName(part.expiry) : "", part.strike === null ? "" : `${price(part.strike).replace(/\.0+$/, "")}${part.option ?? ""}`];
  return place.filter(Boolean).join(" ");
}

function quoteOf(part) {
  if (!part.before || !part.after) return "";
  const side = ([bid, ask]) => `${bid ?? "–"}/${ask ?? "–"}`;
  return `${side(part.before)} → ${side(part.after)}`;
}
