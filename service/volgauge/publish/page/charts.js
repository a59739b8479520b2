// Two small canvas charts. They draw what they are given and keep no data.

function context(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const draw = canvas.getContext("2d");
  draw.setTransform(ratio, 0, 0, ratio, 0, 0);
  draw.clearRect(0, 0, width, height);
  draw.font = "11px system-ui, sans-serif";
  return { draw, width, height };
}

export function colours() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(name).trim();
  return { line: get("--line"), area: get("--area"), grid: get("--grid"), dim: get("--dim"), mark: get("--warn"), text: get("--text") };
}

function niceStep(span, count) {
  const raw = span / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  for (const factor of [1, 2, 5, 10]) if (raw <= factor * power) return factor * power;
  return 10 * power;
}

function axis(draw, low, high, y, left, right, paint) {
  const step = niceStep(high - low, 5);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  draw.strokeStyle = paint.grid;
  draw.fillStyle = paint.dim;
  draw.textAlign = "left";
  draw.lineWidth = 1;
  for (let level = Math.ceil(low / step) * step; level <= high; level += step) {
    draw.beginPath();
    draw.moveTo(left, y(level));
    draw.lineTo(right, y(level));
    draw.stroke();
    draw.fillText(level.toFixed(digits), right + 6, y(level) + 4);
  }
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const hours = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const dates = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

function timeLabel(ms, span) {
  if (span < 600_000) return clock.format(ms);
  return span < 3 * 86_400_000 ? hours.format(ms) : dates.format(ms);
}

// points: {t (ms), mid, low, high}; a null mid, or a distance above `gap` ms, breaks the line.
export function drawSeries(canvas, points, { gap, cursor }) {
  const { draw, width, height } = context(canvas);
  const paint = colours();
  const shown = points.filter((p) => p.mid !== null);
  if (shown.length < 2) {
    draw.fillStyle = paint.dim;
    draw.textAlign = "center";
    draw.fillText("waiting for data", width / 2, height / 2);
    return null;
  }
  const left = 4, right = width - 48, top = 8, bottom = height - 20;
  const from = points[0].t, to = points[points.length - 1].t;
  let low = Infinity, high = -Infinity;
  for (const p of shown) {
    low = Math.min(low, p.low ?? p.mid);
    high = Math.max(high, p.high ?? p.mid);
  }
  const pad = Math.max((high - low) * 0.08, 0.02);
  low -= pad;
  high += pad;
  const x = (t) => left + ((t - from) / Math.max(1, to - from)) * (right - left);
  const y = (v) => bottom - ((v - low) / (high - low)) * (bottom - top);
  axis(draw, low, high, y, left, right, paint);
  draw.textAlign = "center";
  const marks = Math.max(2, Math.floor(width / 170));
  for (let i = 0; i <= marks; i += 1) {
    const t = from + ((to - from) * i) / marks;
    draw.fillText(timeLabel(t, to - from), Math.min(right - 26, Math.max(left + 26, x(t))), height - 5);
  }
  const runs = [];
  let run = [];
  for (const p of points) {
    const broken = p.mid === null || (run.length > 0 && p.t - run[run.length - 1].t > gap);
    if (broken && run.length) { runs.push(run); run = []; }
    if (p.mid !== null) run.push(p);
  }
  if (run.length) runs.push(run);
  for (const part of runs) {
    if (part[0].low !== undefined) {
      draw.fillStyle = paint.area;
      draw.beginPath();
      part.forEach((p, i) => (i ? draw.lineTo(x(p.t), y(p.high ?? p.mid)) : draw.moveTo(x(p.t), y(p.high ?? p.mid))));
      for (let i = part.length - 1; i >= 0; i -= 1) draw.lineTo(x(part[i].t), y(part[i].low ?? part[i].mid));
      draw.fill();
    }
    draw.strokeStyle = paint.line;
    draw.lineWidth = 1.6;
    draw.lineJoin = "round";
    draw.beginPath();
    part.forEach((p, i) => (i ? draw.lineTo(x(p.t), y(p.mid)) : draw.moveTo(x(p.t), y(p.mid))));
    if (part.length === 1) draw.arc(x(part[0].t), y(part[0].mid), 1.5, 0, 7);
    draw.stroke();
  }
  if (cursor === null) return null;
  const wanted = from + ((cursor - left) / (right - left)) * (to - from);
  const nearest = shown.reduce((best, p) => (Math.abs(p.t - wanted) < Math.abs(best.t - wanted) ? p : best));
  draw.strokeStyle = paint.dim;
  draw.lineWidth = 1;
  draw.beginPath();
  draw.moveTo(x(nearest.t), top);
  draw.lineTo(x(nearest.t), bottom);
  draw.stroke();
  draw.fillStyle = paint.line;
  draw.beginPath();
  draw.arc(x(nearest.t), y(nearest.mid), 3.5, 0, 7);
  draw.fill();
  return nearest;
}

// tenors and expiries: {days, value}.
export function drawTerm(canvas, tenors, expiries) {
  const { draw, width, height } = context(canvas);
  const paint = colours();
  const all = [...tenors, ...expiries].filter((p) => p.value !== null && p.days > 0);
  if (!all.length) {
    draw.fillStyle = paint.dim;
    draw.textAlign = "center";
    draw.fillText("no expiry is computable", width / 2, height / 2);
    return;
  }
  const left = 8, right = width - 44, top = 10, bottom = height - 20;
  const scale = (days) => Math.log(days);
  const from = scale(Math.min(...all.map((p) => p.days))), to = scale(Math.max(...all.map((p) => p.days)) * 1.05);
  let low = Math.min(...all.map((p) => p.value)), high = Math.max(...all.map((p) => p.value));
  const pad = Math.max((high - low) * 0.12, 0.5);
  low -= pad;
  high += pad;
  const x = (days) => left + ((scale(days) - from) / Math.max(1e-9, to - from)) * (right - left);
  const y = (v) => bottom - ((v - low) / (high - low)) * (bottom - top);
  axis(draw, low, high, y, left, right, paint);
  draw.fillStyle = paint.mark;
  for (const p of expiries) {
    if (p.value === null || p.days <= 0) continue;
    draw.beginPath();
    draw.arc(x(p.days), y(p.value), 2.6, 0, 7);
    draw.fill();
  }
  const line = tenors.filter((p) => p.value !== null);
  draw.strokeStyle = paint.line;
  draw.lineWidth = 1.8;
  draw.beginPath();
  line.forEach((p, i) => (i ? draw.lineTo(x(p.days), y(p.value)) : draw.moveTo(x(p.days), y(p.value))));
  draw.stroke();
  draw.textAlign = "center";
  let free = -Infinity;
  for (const p of line) {
    draw.fillStyle = paint.line;
    draw.beginPath();
    draw.arc(x(p.days), y(p.value), 3.2, 0, 7);
    draw.fill();
    const label = `${p.days}d`;
    const half = draw.measureText(label).width / 2;
    const at = Math.max(left + half, x(p.days));
    if (at - half < free) continue;
    free = at + half + 6;
    draw.fillStyle = paint.dim;
    draw.fillText(label, at, height - 5);
  }
}
