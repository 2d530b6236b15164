import type { RunId, ScheduleId } from '../../protocol/ids.ts';
import { timesAfter } from '../services/schedules/cron.ts';
import type { ScheduleCaller } from '../services/schedules/schedules.ts';
import { decodeCursor, isCount, toPage } from '../shared/cursor.ts';
import { accessOf } from './context.ts';
import type { CallContext, ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

const TIMES_SHOWN = 5;

export function scheduleHandlers({ schedules, limits }: Services): ResourceHandlers<'schedule'> {
  return {
    create: ({ datasetId, ...wanted }, context) => schedules.create(datasetId, wanted, callerOf(context)),
    list: async ({ datasetId, limit, cursor }, context) => {
      const after = cursor === undefined ? undefined : (decodeCursor(cursor, isCount) as ScheduleId);
      const items = await schedules.list(datasetId, { limit: limit + 1, after }, callerOf(context));
      return toPage(items, { limit, bytesMax: limits.pageBytesMax }, ({ scheduleId }) => scheduleId);
    },
    get: ({ datasetId, scheduleId }, context) => schedules.get(datasetId, scheduleId, callerOf(context)),
    update: ({ datasetId, scheduleId, ...change }, context) => schedules.update(datasetId, scheduleId, change, callerOf(context)),
    pause: ({ datasetId, scheduleId }, context) => schedules.pause(datasetId, scheduleId, callerOf(context)),
    resume: ({ datasetId, scheduleId }, context) => schedules.resume(datasetId, scheduleId, callerOf(context)),
    run: ({ datasetId, scheduleId }, context) => schedules.run(datasetId, scheduleId, callerOf(context)),
    runs: async ({ datasetId, scheduleId, limit, cursor }, context) => {
      const before = cursor === undefined ? undefined : (decodeCursor(cursor, isCount) as RunId);
      const items = await schedules.runs(datasetId, scheduleId, { limit: limit + 1, before }, callerOf(context));
      return toPage(items, { limit, bytesMax: limits.pageBytesMax }, ({ runId }) => runId);
    },
    download: ({ datasetId, scheduleId, runId }, context) => schedules.download(datasetId, scheduleId, runId, callerOf(context)),
    delete: async ({ datasetId, scheduleId }, context) => {
      await schedules.delete(datasetId, scheduleId, callerOf(context));
      return {};
    },
    times: ({ cron, timeZone }) => ({ times: timesAfter({ cron, timeZone }, Date.now(), TIMES_SHOWN) }),
  };
}

function callerOf(context: CallContext): ScheduleCaller {
  return { actor: context.actor, access: accessOf(context), provenance: context.provenance };
}
