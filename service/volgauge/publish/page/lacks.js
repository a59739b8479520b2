// Why readings are not there, in words, from the record's own `missing`.
import { words } from "./format.js";

// The title of one reading that is null; undefined when there is nothing to say. What lacks as a
// whole (`tenors.7d`) lacks in its parts.
export function lackOf(record, path) {
  for (let name = path; name; name = name.slice(0, Math.max(0, name.lastIndexOf(".")))) {
    if (record.missing[name] !== undefined) return words(record.missing[name]);
  }
  return undefined;
}

// One sentence for some groups: "No value: har, ewma (too little history)."
export function lacksOf(record, ...prefixes) {
  const byReason = new Map();
  for (const [path, lack] of Object.entries(record.missing)) {
    const prefix = prefixes.find((one) => path.startsWith(one));
    if (prefix === undefined) continue;
    // What lacks in every pair is said once.
    const name = path.slice(prefix.length).replace(/^pairs\.[A-Z0-9-]+\./i, "").replaceAll(".", " ");
    byReason.set(lack, (byReason.get(lack) ?? new Set()).add(words(name || prefix)));
  }
  const parts = [...byReason].map(([lack, names]) => `${[...names].join(", ")} (${words(lack)})`);
  return parts.length ? `No value: ${parts.join("; ")}.` : "";
}

export const NOT_AVAILABLE = "Not available: this server publishes no analytics, or none yet.";
