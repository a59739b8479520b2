// Numbers and times as text. A number that is not there is an en dash, a minus is a real minus.
export const NONE = "–";
const MINUS = "−";

const absent = (value) => value === null || value === undefined || Number.isNaN(value);

export function points(value, digits = 2) {
  return absent(value) ? NONE : value.toFixed(digits).replace("-", MINUS);
}

export function signed(value, digits = 2) {
  if (absent(value)) return NONE;
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? MINUS : "+") + text;
}

export const percent = (share, digits = 0) => (absent(share) ? NONE : `${points(100 * share, digits)} %`);

// Five significant places, never in exponents: 98,123 and 0.52317.
export function price(value) {
  if (absent(value)) return NONE;
  const decimals = Math.max(0, Math.min(6, 5 - Math.floor(Math.log10(Math.abs(value) || 1))));
  return value.toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

// 12.3k, 4.1M: amounts that are read, not used.
export function amount(value) {
  if (absent(value)) return NONE;
  const size = Math.abs(value);
  if (size >= 1e9) return `${points(value / 1e9, 1)}B`;
  if (size >= 1e6) return `${points(value / 1e6, 1)}M`;
  if (size >= 1e4) return `${points(value / 1e3, 1)}k`;
  return points(value, size >= 100 ? 0 : size >= 1 ? 1 : 3);
}

export function seconds(value) {
  if (absent(value)) return NONE;
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 120) return `${Math.round(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  return `${Math.round(value / 3600)} h`;
}

export function lag(ms) {
  if (absent(ms)) return NONE;
  return Math.abs(ms) >= 10_000 ? `${(ms / 1000).toFixed(0)} s` : `${points(ms, 0)} ms`;
}

const two = (n) => String(n).padStart(2, "0");

export function clockTime(ms) {
  const at = new Date(ms);
  return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
}

export function dateTime(ms) {
  const at = new Date(ms);
  return `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())} ${clockTime(ms)}`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// 2026-12-25T08:00:00Z as traders write it: 25 Dec 26.
export function expiryName(iso) {
  return `${iso.slice(8, 10)} ${MONTHS[Number(iso.slice(5, 7)) - 1]} ${iso.slice(2, 4)}`;
}

export const words = (name) => String(name).replaceAll("_", " ");

// {"no_bid": 16, "tiny": 2} -> "no bid 16, tiny 2"
export function counts(map) {
  return Object.entries(map).filter(([, n]) => n > 0).map(([name, n]) => `${words(name)} ${n}`).join(", ");
}
