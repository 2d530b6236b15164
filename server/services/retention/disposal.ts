import { randomUUID } from 'node:crypto';
import type { Limits } from '../../../protocol/limits.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { type Lateness, Promptness } from '../../shared/promptness.ts';
import type { DisposalStore, HeldObjectStore } from '../../storage/stores.ts';

export interface Disposal {
  /** Takes every step that is due, one after the other, until none is or it is told to stop. Rejects with what failed, and logs nothing of it. */
  run(signal: AbortSignal): Promise<void>;
  /** Says which condemned files are being read here. */
  acknowledge(): Promise<void>;
  /** How late it is said. */
  readonly acknowledging: Lateness;
  close(): Promise<void>;
}

export interface DisposalOptions {
  readonly store: DisposalStore;
  readonly objects: Pick<HeldObjectStore, 'condemn' | 'delete'>;
  readonly limits: Pick<Limits, 'removalGraceMs' | 'retentionStepVersionsMax' | 'condemnedObjectsMax' | 'objectsDeletedMax' | 'fileReaderLeaseMs'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Lets files go of what was removed and deleted long enough ago. In this order: what refers to them goes, in the transaction that
 * condemns them; every reader says what it holds; what nobody holds is deleted; that it is gone is written. A crash between any two
 * leaves what the next round goes on with, and the readers of a server that crashed are forgotten when its lease ends.
 */
export async function openDisposal({ store, objects, limits, clock, log }: DisposalOptions): Promise<Disposal> {
  const readerId = randomUUID();
  const { fileReaderLeaseMs: leaseMs } = limits;
  await store.join(readerId, 'server', leaseMs);

  const periodMs = leaseMs / 6;
  const acknowledging = new Promptness(clock, periodMs);
  const tell = async (): Promise<void> => {
    const heldOf = (condemned: readonly string[]): string[] => objects.condemn(condemned);
    if (await store.acknowledge(readerId, leaseMs, heldOf)) return;
    // Whoever was away for so long may have lost files that it was reading; those reads fail, and others begin anew.
    log.warn('this server was not heard of for longer than its lease on files; it joins again');
    await store.join(readerId, 'server', leaseMs);
    await store.acknowledge(readerId, leaseMs, heldOf);
  };
  const acknowledge = async (): Promise<void> => {
    await tell();
    acknowledging.done();
  };

  const releaseAll = async (signal: AbortSignal): Promise<void> => {
    const { removalGraceMs: graceMs, retentionStepVersionsMax: versionsMax, condemnedObjectsMax: condemnedMax } = limits;
    while (!signal.aborted) {
      const released = await store.release({ graceMs, versionsMax, condemnedMax });
      if (released === null) return;
      log.info(released, released.isPurged ? 'a deleted dataset is gone' : 'removed versions let go of their files');
      // Something was brought back at this moment: the next round chooses anew.
      if (released.versions === 0 && !released.isPurged) return;
    }
  };

  const deleteAll = async (signal: AbortSignal): Promise<void> => {
    await store.announce();
    await acknowledge();
    while (!signal.aborted) {
      const objectKeys = await store.disposable(limits.objectsDeletedMax);
      if (objectKeys.length === 0) return;
      await objects.delete(objectKeys);
      await store.disposed(objectKeys);
      log.info({ files: objectKeys.length }, 'files that nothing refers to were deleted');
    }
  };

  const timer = setInterval(() => {
    acknowledge().catch((error: unknown) => log.error({ err: error }, 'this server could not say which files it reads; it is tried again'));
  }, periodMs);
  timer.unref();

  return {
    acknowledge,
    acknowledging,
    run: async (signal) => {
      // What one dataset cannot let go of keeps no files of others. Whoever asked for the round tells what failed.
      const [released] = await Promise.allSettled([releaseAll(signal)]);
      const [deleted] = await Promise.allSettled([deleteAll(signal)]);
      const faults: unknown[] = [released, deleted].flatMap((step) => (step.status === 'rejected' ? [step.reason] : []));
      if (faults.length > 1) throw new AggregateError(faults, 'files could neither be let go of nor deleted');
      if (faults.length === 1) throw faults[0];
    },
    close: async () => {
      clearInterval(timer);
      await store.leave(readerId);
    },
  };
}
