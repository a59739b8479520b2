// The live page. Records come in by one stream (stream.js) into one model (model.js); here is said
// which panel is drawn how often. A panel that nobody sees is not drawn.
import { drawAlerts } from "./alerts.js";
import { drawCoupling, startCoupling } from "./coupling.js";
import { clearCursors } from "./cursors.js";
import { $, put } from "./dom.js";
import { drawExpiries } from "./expiries.js";
import { ask } from "./fetch.js";
import { drawHeader } from "./header.js";
import { drawHealth } from "./health.js";
import { cursorHere, drawChart, showFrame, startChart, toggleBand, toggleVenues } from "./index_chart.js";
import { drawInterest, startInterest } from "./interest.js";
import { startKeys } from "./keys.js";
import { drawLevel, startLevel } from "./level.js";
import { model } from "./model.js";
import { chooseTab, drawMove, startMove } from "./move.js";
import { drawRealized } from "./realized.js";
import { drawRegime } from "./regime.js";
import { drawSmile, startSmile, stepExpiry } from "./smile.js";
import { connect, watch } from "./stream.js";
import { drawSurface, startSurface } from "./surface.js";
import { startAssets, step } from "./tabs.js";
import { drawTerm, startTerm } from "./term.js";
import { cycle, onTheme, startTheme } from "./theme.js";

const TICK_MS = 100;
const ABOUT_MS = 60_000;

const panels = [
  { id: "panel-index", everyMs: 200, draw: drawChart },
  { id: "panel-term", everyMs: 500, draw: drawTerm },
  { id: "panel-smile", everyMs: 500, draw: drawSmile },
  { id: "panel-surface", everyMs: 500, draw: drawSurface },
  { id: "panel-why", everyMs: 1000, draw: drawWhy },
  { id: "panel-coupling", everyMs: 1000, draw: drawCoupling },
  { id: "panel-regime", everyMs: 1000, draw: drawRegime },
  { id: "panel-realized", everyMs: 1000, draw: drawRealized },
  { id: "panel-interest", everyMs: 2000, draw: drawInterest },
  { id: "panel-alerts", everyMs: 500, draw: drawAlerts },
  { id: "panel-health", everyMs: 500, draw: drawHealth },
  { id: "panel-expiries", everyMs: 2000, draw: drawExpiries },
].map((panel) => ({ ...panel, node: $(panel.id), isSeen: false, drawnAt: -Infinity }));

function drawWhy() {
  return $("level").hidden ? drawMove() : drawLevel();
}

function select(asset) {
  model.asset = asset;
  history.replaceState(null, "", `#${asset}`);
  drawMove();
  redraw();
}

function redraw() {
  for (const panel of panels) panel.drawnAt = -Infinity;
  tick();
}

function tick() {
  watch();
  if (document.hidden) return;
  if (!model.asset && model.assets.length) {
    const wanted = location.hash.slice(1);
    if (wanted && !model.assets.includes(wanted) && model.version < 50) return drawHeader();
    return select(model.assets.includes(wanted) ? wanted : model.assets[0]);
  }
  drawHeader();
  if (!model.asset) return;
  const now = performance.now();
  for (const panel of panels) {
    if (!panel.isSeen || now - panel.drawnAt < panel.everyMs) continue;
    panel.drawnAt = now;
    panel.draw();
  }
}

async function askAbout() {
  const { body } = await ask("/v1/about");
  if (!body) return;
  model.about = body;
  put($("build"), `volgauge ${body.version} · methodology ${body.methodology} · ${body.mode} · ${body.source}`);
}

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) panels.find((panel) => panel.node === target).isSeen = isIntersecting;
  tick();
}, { rootMargin: "200px" });

startTheme();
startAssets(select);
startChart();
startTerm();
startSmile();
startSurface();
startLevel();
startMove();
startCoupling();
startInterest();
for (const panel of panels) watcher.observe(panel.node);
startKeys({
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  1: () => showFrame("1s"),
  2: () => showFrame("1m"),
  3: () => showFrame("1h"),
  4: () => showFrame("1d"),
  g: toggleBand,
  v: toggleVenues,
  a: () => cursorHere("a"),
  b: () => cursorHere("b"),
  x: clearCursors,
  "[": () => stepExpiry(-1),
  "]": () => stepExpiry(1),
  l: () => chooseTab("level"),
  m: () => chooseTab("move"),
  t: cycle,
});
onTheme(redraw);
addEventListener("visibilitychange", redraw);
setInterval(tick, TICK_MS);
setInterval(askAbout, ABOUT_MS);
await askAbout();
connect();
