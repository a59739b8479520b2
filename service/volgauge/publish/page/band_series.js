// A series for the chart library: the area between two prices, the bid and the ask of the index.
import { customSeriesDefaultOptions } from "./vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";

// A point is {time, low, high}; one without `low` breaks the area.
export class BandSeries {
  #bars = [];
  #range = null;
  #fill = "transparent";

  priceValueBuilder(point) {
    return [point.low, point.high, (point.low + point.high) / 2];
  }

  isWhitespace(point) {
    return point.low === undefined;
  }

  defaultOptions() {
    return { ...customSeriesDefaultOptions, fill: "transparent", lastValueVisible: false, priceLineVisible: false };
  }

  update(data, options) {
    this.#bars = data.bars;
    this.#range = data.visibleRange;
    this.#fill = options.fill;
  }

  renderer() {
    return { draw: (target, toY) => target.useBitmapCoordinateSpace((scope) => this.#draw(scope, toY)) };
  }

  #draw({ context, horizontalPixelRatio: wide, verticalPixelRatio: tall }, toY) {
    if (!this.#range) return;
    context.fillStyle = this.#fill;
    let run = [];
    const flush = () => {
      if (run.length > 1) {
        context.beginPath();
        for (const [x, , high] of run) context.lineTo(x, high);
        for (const [x, low] of run.reverse()) context.lineTo(x, low);
        context.fill();
      }
      run = [];
    };
    for (let i = this.#range.from; i < this.#range.to; i += 1) {
      const { x, originalData } = this.#bars[i];
      if (originalData.low === undefined) flush();
      else run.push([x * wide, toY(originalData.low) * tall, toY(originalData.high) * tall]);
    }
    flush();
  }
}
