import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OperationName } from '../../protocol/operations/index.ts';
import { expectNoTrace, parquetText } from '../support/leaks.ts';
import type { RestAnswer } from '../support/rest.ts';
import { DIRECTORY, YEARLY } from '../support/schedules.ts';
import { buildScopeWorld, HIDDEN_COLUMN, READERS, SCHEDULE_READINGS, type ScopedReader, type ScopeWorld } from '../support/scope-world.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { answerOverRest } from '../support/transports.ts';

let server: TestServer;
let world: ScopeWorld;
const tried = new Set<OperationName>();

beforeAll(async () => {
  server = await startTestServer(['--schedule-retry-ms', '200']);
  world = await buildScopeWorld(await server.client('alice'), { hiddenShare: 1, seed: 1 });
});

afterAll(async () => {
  await server?.stop();
});

const FORMATS = ['csv', 'ndjson', 'arrow', 'parquet'] as const;

/** All rows, a view, and one that names what is hidden. */
const CONFIGS: readonly (object | null)[] = [null, { columns: ['name'], group_by: ['region'] }, { columns: [HIDDEN_COLUMN] }];

type Ask = (operation: OperationName, input: Record<string, unknown>) => Promise<RestAnswer>;

async function asking(reader: ScopedReader): Promise<Ask> {
  const rest = await server.rest(reader.subject, reader.token);
  return async (operation, input) => {
    tried.add(operation);
    const answer = await answerOverRest(rest, { operation, input: { datasetId: world.datasetId, ...input } });
    const asked = `${operation} ${JSON.stringify(input)}`;
    // The configuration comes back with the column that the caller named, which tells them nothing.
    expectNoTrace(reader, asked, Buffer.from(Buffer.from(answer.bytes).toString('latin1').replaceAll(HIDDEN_COLUMN, 'ASKED'), 'latin1'));
    expect(answer.status, asked).toBeLessThan(500);
    return answer;
  };
}

async function runToItsEnd(ask: Ask, scheduleId: number): Promise<{ readonly runId: number; readonly downloadable: boolean }> {
  const asked = await ask('schedule.run', { scheduleId });
  const { runId } = asked.body as { runId: number };
  let found: { readonly runId: number; readonly state: string; readonly downloadable: boolean } | undefined;
  await expect
    .poll(async () => {
      const { items } = (await ask('schedule.runs', { scheduleId })).body as { items: (typeof found & object)[] };
      found = items.find((run) => run.runId === runId);
      return found?.state;
    })
    .toMatch(/^(succeeded|failed|skipped)$/);
  return { runId, downloadable: found?.downloadable === true };
}

describe.each(READERS)('$subject', (reader) => {
  test('SCOPE8 SCH4 exports by the clock have no trace of what is hidden', async () => {
    const ask = await asking(reader);
    await ask('schedule.times', { cron: YEARLY.cron, timeZone: 'UTC' });
    let downloaded = 0;
    for (const format of FORMATS) {
      for (const config of CONFIGS) {
        const made = await ask('schedule.create', { ...YEARLY, name: 'Export', ref: 'v1', destination: DIRECTORY, format, config });
        if (made.status !== 201) continue;
        const { scheduleId } = made.body as { scheduleId: number };
        const { runId, downloadable } = await runToItsEnd(ask, scheduleId);
        if (downloadable) {
          const file = await ask('schedule.download', { scheduleId, runId });
          if (format === 'parquet') expectNoTrace(reader, 'a Parquet file', await parquetText(file.bytes));
          downloaded += 1;
        }
        for (const operation of ['schedule.get', 'schedule.pause', 'schedule.resume'] as const) await ask(operation, { scheduleId });
        await ask('schedule.update', { scheduleId, name: 'Another name' });
        await ask('schedule.list', {});
        await ask('schedule.delete', { scheduleId });
      }
    }
    expect(downloaded).toBeGreaterThan(0);
    expect(SCHEDULE_READINGS.filter((name) => !tried.has(name))).toEqual([]);
  });
});
