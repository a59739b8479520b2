// Every expiry of every book; those that stand in the headline are marked.
import { $, fill } from "./dom.js";
import { counts, expiryName, points, price } from "./format.js";
import { headline, model } from "./model.js";

export function drawExpiries() {
  const record = headline();
  const surface = model.surface.get(model.asset);
  if (!record || !surface) return fill($("expiries"), []);
  const weights = new Map(record.expiries.map((one) => [`${one.book} ${one.expiry}`, one.weight]));
  const rows = [...surface.expiries].sort((a, b) => a.expiry.localeCompare(b.expiry) || a.book.localeCompare(b.book));
  fill($("expiries"), rows.map((one) => {
    const weight = weights.get(`${one.book} ${one.expiry}`);
    return {
      cls: weight === undefined ? "" : "used",
      cells: [
        { t: expiryName(one.expiry), title: one.expiry },
        { t: one.book || one.venue, c: "left" },
        points(one.t_years * 365, 1),
        price(one.forward),
        { t: points(one.implied_vol), c: "strong" },
        points(one.strip),
        String(one.n_strikes),
        points(weight ?? null, 3),
        { t: [...one.flags, counts(one.rejected)].filter(Boolean).join(", ") || "–", c: "left dim" },
      ],
    };
  }));
}
