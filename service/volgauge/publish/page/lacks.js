// Why readings are not there, in words, from the record's own `missing`.
import { words } from "./format.js";

// The title of one reading that is null; undefined when there is nothing to say.
export function lackOf(record, path) {
  const lack = record.missing[path];
  return lack === undefined ? undefined : words(lack);
}

// One sentence for a whole group: "No value: har, ewma (too little history)."
export function lacksOf(record, prefix) {
  const byReason = new Map();
  for (const [path, lack] of Object.entries(record.missing)) {
    if (!path.startsWith(prefix)) continue;
    // What lacks in every pair is said once.
    const name = words(path.slice(prefix.length).replace(/^pairs\.[A-Z0-9-]+\./i, "").replaceAll(".", " ")) || "all";
    byReason.set(lack, (byReason.get(lack) ?? new Set()).add(name));
  }
  const parts = [...byReason].map(([lack, names]) => `${[...names].join(", ")} (${words(lack)})`);
  return parts.length ? `No value: ${parts.join("; ")}.` : "\u00a0";
}

export const NOT_AVAILABLE = "Not available: this server publishes no analytics, or none yet.";
