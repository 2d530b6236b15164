import type { DatasetId } from '../../protocol/ids.ts';
import type { Config } from '../config.ts';
import { startHousekeeping } from '../services/maintenance/housekeeping.ts';
import { openDisposal } from '../services/retention/disposal.ts';
import { createRetention, type Retention } from '../services/retention/retention.ts';
import { systemClock } from '../shared/clock.ts';
import type { Closers } from '../shared/closers.ts';
import type { Logger } from '../shared/log.ts';
import type { Metrics } from '../shared/metrics.ts';
import type { Stores } from '../storage/stores.ts';

/** With a database of its own nobody else can have commits under way; on a shared one, others are given this long. */
const SHARED_GRACE_MS = 60 * 60 * 1_000;

interface Place {
  readonly stores: Stores;
  readonly log: Logger;
  readonly closers: Closers;
  readonly metrics: Metrics;
}

/** What is done from time to time: removing what is not kept, and what crashes left. */
export async function startUpkeep(
  { limits, databaseUrl }: Config,
  { stores, log, closers, metrics }: Place,
  onVersionsChanged: (datasetId: DatasetId) => void,
): Promise<Retention> {
  const { metadata, objects } = stores;
  const retention = createRetention({ store: metadata.retention, onChange: onVersionsChanged, limits, log });
  const disposal = await openDisposal({ store: metadata.disposal, objects, limits, clock: systemClock, log });
  closers.add(() => disposal.close());
  const housekeeping = startHousekeeping({ stores, limits, log, graceMs: SHARED_GRACE_MS, retention, disposal, clock: systemClock });
  metrics.jobs({ ...housekeeping.jobs, file_readers: disposal.acknowledging });
  closers.add(() => housekeeping.stop());
  await housekeeping.sweep(databaseUrl === undefined ? 0 : SHARED_GRACE_MS);
  return retention;
}
