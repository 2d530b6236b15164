import type { BackupDirectory, Snapshot } from './backup-directory.ts';

export interface Keeping {
  /** Every backup of this long is kept. */
  readonly keepMs: number;
  /** Of this long, the first of each day. */
  readonly keepDailyMs: number;
  readonly nowMs: number;
}

/** Which backups are kept, the newest whatever its age. */
export function keptOf(snapshots: readonly Pick<Snapshot, 'snapshotId' | 'takenAt'>[], { keepMs, keepDailyMs, nowMs }: Keeping): Set<string> {
  const days = new Set<string>();
  const kept = new Set<string>();
  const oldestFirst = [...snapshots].sort((one, other) => one.takenAt.localeCompare(other.takenAt));
  for (const { snapshotId, takenAt } of oldestFirst) {
    const ageMs = nowMs - Date.parse(takenAt);
    const day = takenAt.slice(0, 'YYYY-MM-DD'.length);
    if (ageMs <= keepMs || (ageMs <= keepDailyMs && !days.has(day))) kept.add(snapshotId);
    days.add(day);
  }
  const newest = oldestFirst.at(-1);
  if (newest !== undefined) kept.add(newest.snapshotId);
  return kept;
}

/** Removes backups that are too old, and then what only they needed. */
export async function prune(directory: BackupDirectory, keeping: Keeping): Promise<void> {
  const snapshots: Snapshot[] = [];
  for (const snapshotId of await directory.snapshotIds()) snapshots.push(await directory.readSnapshot(snapshotId));
  const kept = keptOf(snapshots, keeping);
  // What only an interrupted backup left is removed with the next backup that is too old.
  if (kept.size === snapshots.length) return;
  for (const { snapshotId } of snapshots) if (!kept.has(snapshotId)) await directory.removeSnapshot(snapshotId);
  await directory.prune(snapshots.filter(({ snapshotId }) => kept.has(snapshotId)));
}
