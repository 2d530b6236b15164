import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Crowd, type CrowdOptions } from '../../server/cli/load/crowd.ts';
import { Recorder } from '../../server/cli/load/recorder.ts';
import { type Action, type Person, scenario, type World } from '../../server/cli/load/scenario.ts';
import { runCli } from '../support/cli.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const WORLD: World = { datasetId: 1, versionId: 1, rows: 1, groups: [['a']], measures: [{ column: 'b', aggregate: 'sum' }], isMade: false };

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer(['--table-engines', 'none']);
});

afterAll(() => server?.stop());

interface Held {
  readonly recorder: Recorder;
  /** How long the person was there after the end. */
  readonly leftAfterMs: number;
}

/** One person who acts every 10 ms on average; the run ends a while after the first action began. */
async function holdUp(act: Action<Person>['run'], endAfterMs: number, options: Pick<CrowdOptions, 'leaveMsMax'> = {}): Promise<Held> {
  const [recorder, end] = [new Recorder(), new AbortController()];
  let endedAtMs = 0;
  let isHeld = false;
  const run = (person: Person): Promise<unknown> => {
    if (!isHeld) {
      setTimeout(() => {
        endedAtMs = performance.now();
        end.abort();
      }, endAfterMs);
    }
    isHeld = true;
    return act(person);
  };
  const who = { url: server.url, tokens: [await server.token('alice')], people: 1, first: 0, step: 1, world: WORLD };
  const held = scenario<Person>({
    about: 'Wait',
    sit: async (person) => person,
    actions: [{ name: 'wait', weight: 1, run }],
    leave: async () => undefined,
  });
  recorder.restart();
  const pace = { rampMs: 1, thinkMs: 10, actionsMax: 10_000, seed: 1 };
  await new Crowd({ ...who, ...pace }, { scenario: held, recorder, signal: end.signal, onSettled: () => undefined, ...options }).run();
  return { recorder, leftAfterMs: performance.now() - endedAtMs };
}

test('CLI9 what was due before the end and not begun is charged the time until its person was free', async () => {
  const { recorder } = await holdUp(() => delay(800), 400);
  const wait = recorder.figures().find(({ action }) => action === 'wait');
  // Only one was begun and answered; that some forty were due in the 400 ms shows in the times.
  expect(wait?.count).toBe(1);
  expect(wait?.p50).toBeGreaterThan(390);
  expect(wait?.p50).toBeLessThan((wait?.max ?? 0) - 50);
  expect(recorder.overall().p50).toBeGreaterThan(390);
  expect(recorder.errors).toEqual({});
});

test('CLI9 whoever waits for an answer too long after the end leaves without it', async () => {
  const untilClosed = ({ client }: Person): Promise<never> =>
    new Promise((_resolve, reject) => client.onState((state) => state.kind === 'closed' && reject(state.reason)));
  const { recorder, leftAfterMs } = await holdUp(untilClosed, 50, { leaveMsMax: 300 });
  expect(recorder.errors).toEqual({ 'wait: cancelled': 1 });
  expect(leftAfterMs).toBeGreaterThan(290);
});

test('CLI10 a run in which nobody could take a seat is status 1', async () => {
  const flags = ['--people', '2', '--ramp', '1', '--duration', '1', '--rows', '10'];
  const run = await runCli(['load', '--url', server.url, '--token', await server.token('alice'), ...flags]);
  expect(run).toMatchObject({ status: 1, err: expect.stringContaining('nobody could come') });
  expect(run.out).toContain('0 of 2 people');
});
