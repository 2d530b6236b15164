import type { Logger } from '../../shared/log.ts';
import type { BackupDirectory } from './backup-directory.ts';
import { unlessDamaged } from './damage.ts';
import { momentOfId, piecesOf, type Snapshot } from './snapshot.ts';

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

/**
 * Removes backups that are too old, and then what only they needed. Of what cannot be read nothing is known but its age: it is kept for
 * `keepDailyMs`, and so long nothing is removed that it may need.
 */
export async function prune(directory: BackupDirectory, keeping: Keeping, log: Logger): Promise<void> {
  const snapshots: Snapshot[] = [];
  const unreadable: string[] = [];
  const ids = await directory.snapshotIds();
  for (const snapshotId of ids) {
    const read = await unlessDamaged(async () => ({ snapshot: await directory.readSnapshot(snapshotId) }));
    if ('snapshot' in read) snapshots.push(read.snapshot);
    else unreadable.push(snapshotId);
  }
  const keptUnreadable = unreadable.filter((snapshotId) => keeping.nowMs - Date.parse(momentOfId(snapshotId)) <= keeping.keepDailyMs);
  const kept = new Set([...keptOf(snapshots, keeping), ...keptUnreadable]);
  // What only an interrupted backup left is removed with the next backup that is too old.
  if (kept.size === ids.length) return;
  for (const snapshotId of ids) if (!kept.has(snapshotId)) await directory.removeSnapshot(snapshotId);
  if (keptUnreadable.length > 0) log.warn({ backups: keptUnreadable }, 'what only these damaged backups may need is not removed');
  else
    await removeUnneeded(
      directory,
      snapshots.filter(({ snapshotId }) => kept.has(snapshotId)),
      log,
    );
}

async function removeUnneeded(directory: BackupDirectory, kept: readonly Snapshot[], log: Logger): Promise<void> {
  await directory.pieces.removeAllBut(new Set(kept.flatMap(piecesOf)));
  const objects = new Set<string>();
  for (const snapshot of kept) {
    const { snapshotId } = snapshot;
    const read = await unlessDamaged(async () => {
      for await (const { name } of directory.readObjects(snapshot)) objects.add(name);
      return { snapshotId };
    });
    if ('damage' in read) {
      log.warn({ backup: snapshotId, damage: read.damage }, 'files that only this damaged backup may need are not removed');
      return;
    }
  }
  await directory.removeObjects(objects);
}
