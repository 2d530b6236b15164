import { expect, test } from 'vitest';
import type { DatasetId, VersionId } from '../../protocol/ids.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { createRetention, type RetentionRun } from '../../server/services/retention/retention.ts';
import { createLog } from '../../server/shared/log.ts';
import type { RetentionStore } from '../../server/storage/stores.ts';

const PLANNED = [1, 2, 3] as VersionId[];

/** A dataset of which three versions are planned to go; at each attempt so many of them are there still. */
function retentionThatRemoves(attempts: (readonly VersionId[])[]) {
  const there = [...attempts];
  const store: Partial<RetentionStore> = {
    get: async () => ({ policy: { keepLast: 0, keepDays: null }, setBy: 'alice', setAt: null }),
    unkept: async () => ({ versionIds: PLANNED, count: 3, files: 6, bytes: 600 }),
    remove: async (_datasetId, _versionIds, outputOf) => outputOf([...(there.shift() ?? [])]),
  };
  return createRetention({ store: store as RetentionStore, onChange: () => undefined, limits: defaultLimits, log: createLog('silent', false) });
}

const run = (...attempts: (readonly VersionId[])[]): Promise<RetentionRun> =>
  retentionThatRemoves(attempts).run(1 as DatasetId, (done) => done, { actor: 'alice', operation: 'retention.run', requestId: '', address: '' });

test('RET2 a run tells what it removed, with what that frees', async () => {
  expect(await run(PLANNED)).toMatchObject({ dryRun: false, versionIds: PLANNED, files: 6, bytes: 600, remaining: 0 });
});

test('RET2 where fewer may go by now than were counted, nothing does, and it is counted anew', async () => {
  expect(await run(PLANNED.slice(1), PLANNED)).toMatchObject({ dryRun: false, versionIds: PLANNED, files: 6 });
});

test('RET2 where that changes again and again, whoever asked is told to ask again', async () => {
  await expect(run(PLANNED.slice(1), PLANNED.slice(1), PLANNED.slice(1), PLANNED)).rejects.toMatchObject({ code: 'conflict' });
});
