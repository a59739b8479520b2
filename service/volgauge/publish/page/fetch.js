// Answers of the HTTP API, with its own words when it refuses.
import { model } from "./model.js";

const WAIT_MS = 10_000;

export async function ask(path) {
  let answer;
  try {
    answer = await fetch(path, { signal: AbortSignal.timeout(WAIT_MS) });
  } catch {
    return { error: "the server does not answer" };
  }
  let body = null;
  try {
    body = await answer.json();
  } catch {
    return { error: `unreadable answer (${answer.status})` };
  }
  return answer.ok ? { body } : { error: body?.error?.message ?? `refused (${answer.status})`, code: body?.error?.code };
}

const HELD_MS = 60_000;
const holdings = new Map(); // asset -> {at, answer}: what is stored, asked for once a minute

// Series that the server stores of an asset, each with its resolutions.
export async function held(asset) {
  let known = holdings.get(asset);
  if (!known || performance.now() - known.at > HELD_MS) {
    known = { at: performance.now(), answer: ask(`/v1/history/${asset}`) };
    holdings.set(asset, known);
  }
  const { body } = await known.answer;
  return body?.series ?? {};
}

// Stored candles, ascending; null when the server keeps none of this series so fine.
export async function candles(asset, series, fromSeconds, toSeconds, resolution) {
  if (model.about?.history === false || !(await held(asset))[series]?.includes(resolution)) return null;
  const range = `from=${Math.floor(fromSeconds)}&to=${Math.ceil(toSeconds)}&resolution=${resolution}`;
  const { body } = await ask(`/v1/history/${asset}/${series}?${range}`);
  return body ? body.candles : null;
}
