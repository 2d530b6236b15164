/** Adds to what a key has, and forgets keys that have nothing; returns what it has now. */
export function add<Key>(tally: Map<Key, number>, key: Key, amount: number): number {
  const now = (tally.get(key) ?? 0) + amount;
  if (now === 0) tally.delete(key);
  else tally.set(key, now);
  return now;
}
