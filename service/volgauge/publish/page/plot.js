// What all small plots have in common: size, colours, axes. Drawing is uPlot's.
import uPlot from "./vendor/uplot/uPlot.esm.js";
import { onTheme, paint } from "./theme.js";

const FONT_PX = 11;

// A plot that fits its box and the theme. `describe(colours)` gives uPlot's options without size;
// it is asked again when the theme changes, because uPlot keeps what it was given.
export class Plot {
  #box;
  #describe;
  #plot = null;
  #data = null;

  constructor(box, describe) {
    this.#box = box;
    this.#describe = describe;
    new ResizeObserver(() => this.#fit()).observe(box);
    onTheme(() => this.rebuild());
  }

  // Data as uPlot takes them; without a single place nothing is drawn, not even axes.
  draw(data) {
    this.#data = data[0].length ? data : null;
    if (!this.#data) this.#clear();
    else if (this.#plot) this.#plot.setData(data);
    else this.rebuild();
  }

  rebuild() {
    if (!this.#data || !this.#box.clientWidth) return;
    this.#clear();
    const options = { legend: { show: false }, ...this.#describe(paint()), ...this.#size() };
    this.#plot = new uPlot(options, this.#data, this.#box);
  }

  #clear() {
    this.#plot?.destroy();
    this.#plot = null;
  }

  #size() {
    return { width: Math.max(40, this.#box.clientWidth), height: Math.max(40, this.#box.clientHeight) };
  }

  #fit() {
    if (!this.#plot) return this.rebuild();
    const { width, height } = this.#size();
    if (width !== this.#plot.width || height !== this.#plot.height) this.#plot.setSize({ width, height });
  }
}

export function axis(colour, more = {}) {
  return {
    stroke: colour.dim,
    font: `${FONT_PX}px ${colour.font}`,
    grid: { stroke: colour.grid, width: 1 },
    ticks: { show: false },
    ...more,
  };
}

export const valueAxis = (colour, more = {}) => axis(colour, { side: 1, size: 46, gap: 4, ...more });

// A range with air above and below; something sane when there is nothing.
export const airy = (share, least) => (_plot, low, high) => {
  if (low === null || high === null || !Number.isFinite(low + high)) return [0, 1];
  const pad = Math.max((high - low) * share, least);
  return [low - pad, high + pad];
};

// A logarithmic axis of days, from the first to the last place.
export const daysScale = { time: false, distr: 3, range: (_plot, low, high) => [low * 0.94, high * 1.06] };
export const daysAxis = (colour) => axis(colour, {
  size: 24,
  splits: (plot) => plot.data[0],
  values: (_plot, at) => at.map((day) => `${day}d`),
  filter: (_plot, at) => at,
});

// A dot on the canvas; hollow when it says no.
export function dot(context, x, y, radius, colour, isFull = true) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.strokeStyle = context.fillStyle = colour;
  if (isFull) context.fill();
  else context.stroke();
}
