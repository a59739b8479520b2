// The smile of one expiry: bid and ask of every book as a person sees them, and the fit.
import { ask } from "./fetch.js";
import { $, fill, put, resize } from "./dom.js";
import { amount, clockTime, counts, expiryName, points, price } from "./format.js";
import { model } from "./model.js";
import { Plot, airy, axis, dot, valueAxis } from "./plot.js";
import { venueColour, venueIndex } from "./theme.js";

const EVERY_MS = 1000;
const REFUSED_MS = 15_000; // a server that says no is asked again after this
const SHIFT_PX = 2; // books lie side by side at one strike

let plot;
let answer = null;
const chosen = new Map(); // asset -> expiry
let dueAt = -Infinity;
let asked = null;

export function startSmile() {
  $("expiry").addEventListener("change", () => choose($("expiry").value));
  plot = new Plot($("smile"), (colour) => ({
    padding: [10, 0, 0, 8],
    cursor: { y: false, points: { show: false } },
    scales: { x: { time: false, range: airy(0.02, 1) }, y: { range: airy(0.06, 0.5) } },
    axes: [
      axis(colour, { size: 24, space: 60, values: (_u, at) => at.map((strike) => amount(strike)) }),
      valueAxis(colour, { values: (_u, at) => at.map((value) => value.toFixed(0)) }),
    ],
    // Two series only give the scale its range; what is seen is drawn below.
    series: [{}, { show: true, stroke: "transparent", points: { show: false } }, { stroke: "transparent", points: { show: false } }],
    hooks: { draw: [(u) => drawSmiles(u, colour)], drawClear: [(u) => drawGround(u, colour)] },
  }));
}

function choose(expiry) {
  chosen.set(model.asset, expiry);
  dueAt = -Infinity;
}

export function stepExpiry(by) {
  const list = $("expiry");
  if (!list.options.length) return;
  list.selectedIndex = (list.selectedIndex + by + list.options.length) % list.options.length;
  choose(list.value);
}

export async function drawSmile() {
  const { asset } = model;
  const expiry = chosen.get(asset) ?? nearest(asset);
  if (!expiry) return;
  const now = performance.now();
  if (asked === `${asset} ${expiry}` && now < dueAt) return;
  dueAt = now + EVERY_MS;
  asked = `${asset} ${expiry}`;
  const { body, error, code } = await ask(`/v1/smile/${asset}?expiry=${encodeURIComponent(expiry)}`);
  if (asked !== `${asset} ${expiry}` || model.asset !== asset) return;
  if (code === "unknown_expiry") chosen.delete(asset);
  if (!body) return code ? refuse(error) : put($("smile-note"), `Not new${answer?.at_ns ? ` since ${clockTime(answer.at_ns / 1e6)} UTC` : ""}: ${error}.`);
  answer = body;
  show(expiry);
}

function refuse(error) {
  dueAt = performance.now() + REFUSED_MS;
  answer = { smiles: [], expiries: [] };
  fill($("smile-table").tBodies[0], []);
  plot.draw([[], [], []]);
  put($("smile-note"), `Not available: ${error}.`);
}

// The expiry with the largest weight in the headline.
function nearest(asset) {
  const used = model.index.get(asset)?.expiries ?? [];
  const best = used.reduce((most, one) => (!most || one.weight > most.weight ? one : most), null);
  return best?.expiry ?? model.surface.get(asset)?.expiries[0]?.expiry ?? null;
}

function show(expiry) {
  const list = $("expiry");
  resize(list, answer.expiries.length, () => document.createElement("option"));
  answer.expiries.forEach((one, at) => {
    const option = list.options[at];
    put(option, expiryName(one));
    if (option.value !== one) option.value = one;
  });
  if (list.value !== expiry) list.value = expiry;
  const places = answer.smiles.flatMap((smile) => extent(smile));
  places.sort((a, b) => a[0] - b[0]);
  plot.draw([places.map((p) => p[0]), places.map((p) => p[1]), places.map((p) => p[2])]);
  const total = answer.smiles.reduce((sum, one) => sum + one.used.filter(Boolean).length, 0);
  $("smile").setAttribute("aria-label", `Smile of ${expiryName(expiry)}: ${answer.smiles.length} books, ${total} quotes used`);
  fill($("smile-table").tBodies[0], answer.smiles.map(row));
  put($("smile-note"), answer.smiles.length ? "Full: used. Hollow: refused or not needed. Shaded: the corridor of 5 delta." : "No book has a forward for this expiry.");
}

// Where the plot must reach: used quotes and the fit; what is refused may lie outside.
function extent(smile) {
  const quotes = smile.strikes.flatMap((strike, i) => (smile.used[i] ? [[strike, smile.bid_iv[i] ?? smile.ask_iv[i], smile.ask_iv[i]]] : []));
  const fit = smile.fit_k.map((k, i) => [smile.forward * Math.exp(k), smile.fit_iv[i], smile.fit_iv[i]]);
  return [...quotes, ...fit];
}

function drawGround(u, colour) {
  if (!answer) return;
  const { ctx, bbox } = u;
  const ranges = answer.smiles.filter((one) => one.corridor).map((one) => one.corridor.map((k) => one.forward * Math.exp(k)));
  if (ranges.length) {
    const left = u.valToPos(Math.min(...ranges.map((r) => r[0])), "x", true);
    const right = u.valToPos(Math.max(...ranges.map((r) => r[1])), "x", true);
    ctx.fillStyle = colour["area-2"];
    ctx.fillRect(Math.max(left, bbox.left), bbox.top, Math.min(right, bbox.left + bbox.width) - Math.max(left, bbox.left), bbox.height);
  }
  const [first] = answer.smiles;
  if (!first) return;
  ctx.strokeStyle = colour.dim;
  ctx.setLineDash([3, 4]);
  ctx.beginPath();
  const x = u.valToPos(first.forward, "x", true);
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.setLineDash([]);
}

function drawSmiles(u, colour) {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.lineWidth = ratio;
  answer.smiles.forEach((smile, at) => {
    const own = venueColour(smile.book);
    const shift = (at - (answer.smiles.length - 1) / 2) * SHIFT_PX * ratio;
    smile.strikes.forEach((strike, i) => {
      const x = u.valToPos(strike, "x", true) + shift;
      const ys = [smile.bid_iv[i], smile.ask_iv[i]].map((iv) => (iv === null ? null : u.valToPos(iv, "y", true)));
      const ink = smile.used[i] ? own : colour.faint;
      if (smile.used[i] && ys[0] !== null && ys[1] !== null) {
        ctx.strokeStyle = ink;
        ctx.beginPath();
        ctx.moveTo(x, ys[0]);
        ctx.lineTo(x, ys[1]);
        ctx.stroke();
      }
      for (const y of ys) if (y !== null) dot(ctx, x, y, 1.8 * ratio, ink, smile.used[i]);
    });
  });
  for (const smile of answer.smiles) {
    ctx.strokeStyle = venueColour(smile.book);
    ctx.lineWidth = 1.3 * ratio;
    ctx.beginPath();
    smile.fit_k.forEach((k, i) => {
      if (smile.fit_iv[i] !== null) ctx.lineTo(u.valToPos(smile.forward * Math.exp(k), "x", true), u.valToPos(smile.fit_iv[i], "y", true));
    });
    ctx.stroke();
  }
  ctx.restore();
}

function row(smile) {
  const refused = {};
  for (const verdict of smile.verdict) if (verdict) refused[verdict] = (refused[verdict] ?? 0) + 1;
  const interest = smile.open_interest.filter((one) => one !== null);
  return {
    cls: smile.eligible ? "" : "unfit",
    title: smile.eligible ? undefined : "not eligible for the index (METHODOLOGY rule 9)",
    cells: [
      { t: smile.book, c: `book v${venueIndex(smile.book)}` },
      price(smile.forward),
      { t: points(smile.atm_iv), c: "strong" },
      `${smile.used.filter(Boolean).length} of ${smile.strikes.length}`,
      interest.length ? amount(interest.reduce((a, b) => a + b, 0)) : "–",
      { t: counts(refused) || "–", c: "left dim" },
    ],
  };
}
