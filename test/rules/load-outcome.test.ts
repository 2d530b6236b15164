import { expect, test } from 'vitest';
import { thisMachine } from '../../server/cli/load/machine.ts';
import { Recorder } from '../../server/cli/load/recorder.ts';
import { printOutcome } from '../../server/cli/load/report.ts';

test('CLI9 what is seen of the actions of others is no action more, however many look', async () => {
  const recorder = new Recorder();
  recorder.restart();
  await recorder.measure('note', performance.now(), async () => undefined);
  for (let watcher = 0; watcher < 10; watcher += 1) recorder.record('note.seen', 5);
  const recorded = { ...recorder.recorded(), elapsedMs: 10_000 };
  const both = Recorder.of([recorded, recorded]);
  expect(both.overall().perSecond).toBeCloseTo(0.2, 2);
  expect(both.figures()).toMatchObject([
    { action: 'note', count: 2 },
    { action: 'note.seen', count: 20 },
  ]);
});

test.each([
  [3, '3 of 4 people for 2 s'],
  [4, '4 people for 2 s'],
])('CLI9 where %i of 4 people came, the outcome says so', (arrived, text) => {
  let printed = '';
  const times = { perSecond: 0, errors: 0, p50: 0, p95: 0, p99: 0 };
  printOutcome({ print: (more: string) => (printed += more) } as never, {
    ...{ at: '2026-01-31T12:00:00.000Z', machine: thisMachine(), scenario: 'browse', people: 4, arrived, seconds: 2, seed: 1 },
    ...{ overall: times, actions: [], arrival: [], errors: {}, serverMemoryBytes: null, limitsMet: [] },
    ...{ objectives: [], targets: [], measurements: [] },
  });
  expect(printed.split('\n')[0]).toBe(`${text}, scenario browse, seed 1`);
});
