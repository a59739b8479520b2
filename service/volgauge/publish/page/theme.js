// Dark, light, or as the system says; and the colours of the style sheet for what is drawn.
import { $ } from "./dom.js";

const ORDER = ["system", "dark", "light"];
const SIGNS = { system: "◐", dark: "●", light: "○" };
const NAMES = ["bg", "card", "edge", "text", "dim", "faint", "accent", "area", "area-2", "up", "down", "good", "warn", "bad", "grid"];
const VENUES = 8;
const listeners = [];
let colours = null;

export function paint() {
  if (colours) return colours;
  const probe = document.createElement("i");
  document.body.append(probe);
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  colours = Object.fromEntries(NAMES.map((name) => [name, read(name)]));
  colours.venues = Array.from({ length: VENUES }, (_, i) => read(`venue-${i}`));
  colours.font = getComputedStyle(document.body).fontFamily;
  probe.remove();
  return colours;
}

export const onTheme = (listener) => listeners.push(listener);

const seen = ["deribit", "okx", "bybit", "binance", "derive", "aevo", "delta"]; // the known ones always look the same

// Every other book keeps the colour that it got first; `v3` is its class in tables.
export function venueIndex(label) {
  if (!seen.includes(label)) seen.push(label);
  return seen.indexOf(label) % VENUES;
}

export const venueColour = (label) => paint().venues[venueIndex(label)];

function changed() {
  colours = null;
  for (const listener of listeners) listener();
}

export function cycle() {
  const next = ORDER[(ORDER.indexOf(current()) + 1) % ORDER.length];
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("volgauge.theme", next);
  } catch {
    // Storage is forbidden: the choice holds until the page is closed.
  }
  show();
  changed();
}

function current() {
  return document.documentElement.dataset.theme ?? "system";
}

function show() {
  $("theme").textContent = SIGNS[current()];
  $("theme").ariaLabel = `Theme: ${current()}`;
}

export function startTheme() {
  $("theme").addEventListener("click", cycle);
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", changed);
  show();
}
