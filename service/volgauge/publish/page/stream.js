// One event stream from the server. It comes back by itself: the browser reconnects a broken one,
// and we open another when a connection that nobody closed stays silent.
import { KINDS, take } from "./model.js";

const SILENCE_MS = 4_000; // the server tells its time every second
const REOPEN_MS = 15_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;

export const link = { state: "connecting", heardAt: performance.now(), lostAtMs: null };

let stream = null;
let retryMs = FIRST_RETRY_MS;
let openedAt = 0;

export function connect() {
  openedAt = performance.now();
  stream = new EventSource("/v1/stream?tenors=30d&events=recent");
  for (const kind of KINDS) {
    stream.addEventListener(kind, (message) => {
      heard();
      take(kind, JSON.parse(message.data));
    });
  }
  stream.addEventListener("open", () => {
    retryMs = FIRST_RETRY_MS;
    heard();
  });
  stream.addEventListener("error", () => {
    lose();
    if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again
    setTimeout(connect, retryMs);
    retryMs = Math.min(retryMs * 2, LAST_RETRY_MS);
  });
}

function heard() {
  link.heardAt = performance.now();
  link.state = "open";
  link.lostAtMs = null;
}

function lose() {
  if (link.state !== "lost") link.lostAtMs = Date.now();
  link.state = "lost";
}

// To be called several times a second.
export function watch() {
  const silentMs = performance.now() - link.heardAt;
  if (link.state === "open" && silentMs > SILENCE_MS) lose();
  if (link.state === "lost" && stream.readyState === EventSource.OPEN && performance.now() - openedAt > REOPEN_MS) {
    stream.close();
    connect();
  }
}
