// The last hour of one index, second by second, in arrays of fixed size: what the candles of one
// second, the band, the venues' lines and the two cursors are made of. It never grows.
export const SPAN = 3600;

export class Samples {
  constructor() {
    this.second = new Float64Array(SPAN);
    this.open = new Float64Array(SPAN);
    this.high = new Float64Array(SPAN);
    this.low = new Float64Array(SPAN);
    this.close = new Float64Array(SPAN); // NaN: no valid value in this second
    this.bid = new Float64Array(SPAN);
    this.ask = new Float64Array(SPAN);
    this.seq = new Float64Array(SPAN);
    this.venues = new Map(); // book -> values, NaN where it had none
    this.clear();
  }

  clear() {
    this.total = 0; // samples ever taken; the newest is number total - 1
    this.epoch = null;
    for (const values of this.venues.values()) values.fill(NaN);
  }

  get length() {
    return Math.min(this.total, SPAN);
  }

  // Place in the arrays of the i-th sample that is kept, 0 the oldest.
  place(i) {
    return (this.total - this.length + i) % SPAN;
  }

  take(record, isFresh) {
    // Numbers begin anew with an epoch: older samples cannot be asked about any more.
    if (this.epoch !== null && record.epoch !== this.epoch) this.clear();
    this.epoch = record.epoch;
    const second = Math.floor(record.computed_ns / 1e9);
    const last = (this.total - 1) % SPAN;
    const isNew = this.total === 0 || second > this.second[last];
    if (isNew) this.total += 1;
    const at = (this.total - 1) % SPAN;
    const value = isFresh ? record.value : NaN;
    if (isNew || Number.isNaN(this.close[at])) {
      this.open[at] = this.high[at] = this.low[at] = value;
    } else if (isFresh) {
      this.high[at] = Math.max(this.high[at], value);
      this.low[at] = Math.min(this.low[at], value);
    }
    this.second[at] = isNew ? second : this.second[at];
    this.close[at] = value;
    this.bid[at] = isFresh ? record.bid ?? NaN : NaN;
    this.ask[at] = isFresh ? record.ask ?? NaN : NaN;
    this.seq[at] = record.seq;
    if (isNew) for (const values of this.venues.values()) values[at] = NaN;
    for (const label in record.venues) {
      let values = this.venues.get(label);
      if (!values) this.venues.set(label, (values = new Float64Array(SPAN).fill(NaN)));
      values[at] = isFresh ? record.venues[label].value ?? NaN : NaN;
    }
  }

  // The kept sample with a value that is nearest to an instant, as its place; -1 when none is
  // within `reach` seconds.
  nearest(second, reach) {
    let best = -1;
    let distance = reach + 1e-9;
    for (let i = 0; i < this.length; i += 1) {
      const at = this.place(i);
      const away = Math.abs(this.second[at] - second);
      if (!Number.isNaN(this.close[at]) && away <= distance) {
        best = at;
        distance = away;
      }
    }
    return best;
  }
}
