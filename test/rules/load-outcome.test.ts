import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { labelOf } from '../../bench/results.ts';
import { coAnalysis } from '../../server/cli/load/co-analysis.ts';
import { thisMachine } from '../../server/cli/load/machine.ts';
import { Random } from '../../server/cli/load/random.ts';
import { nothingOf, Recorder } from '../../server/cli/load/recorder.ts';
import { measurementsOf, type Outcome, printOutcome } from '../../server/cli/load/report.ts';
import { makeWorld } from '../../server/cli/load/world.ts';

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

const OUTCOME: Outcome = {
  ...{ at: '2026-01-31T12:00:00.000Z', version: '1.0.0', machine: thisMachine(), quick: false },
  ...{ scenario: 'co-analysis', scenarios: ['co-analysis'], people: 4, arrived: 4, seconds: 2, seed: 1 },
  ...{ overall: { perSecond: 0, errors: 0, p50: 0, p95: 0, p99: 0 }, actions: [], arrival: [], errors: {}, serverMemoryBytes: null },
  ...{ limitsMet: [], objectives: [], targets: [], measurements: [] },
};

test('CLI9 figures are called what the benchmark calls them', () => {
  const actions = [{ ...nothingOf('view.data'), count: 1 }, nothingOf('connection')];
  const labels = measurementsOf({ ...OUTCOME, people: 500, actions, serverMemoryBytes: 1 }).map(labelOf);
  expect(labels).toContain('co-analysis / view.data: p99 at 500 people');
  expect(labels).toContain('co-analysis / memory of the server at 500 people');
  expect(labels.filter((label) => label.includes('connection'))).toEqual(['co-analysis / connection: errors at 500 people']);
});

test('CLI9 a pivot is timed without the closing of the one before, the first as well', async () => {
  const CLOSING_MS = 100;
  const document = {
    doc: { getMap: () => ({ observe: () => undefined }) },
    whenSynced: async () => undefined,
    whenDurable: async () => undefined,
    savedViews: () => ({ create: () => ({ id: '1' }), remove: () => undefined }),
    annotations: { add: () => undefined },
    presence: { set: () => undefined },
  };
  const client = {
    table: { open: async () => ({ tableId: 't' }) },
    document: { open: async () => document },
    view: { create: async () => ({ viewId: 'v', rows: 10 }), close: () => delay(CLOSING_MS), data: async () => undefined },
  };
  const recorder = new Recorder();
  const world = { datasetId: 1, versionId: 1, rows: 1, groups: [['a']], measures: [{ column: 'b', aggregate: 'sum' }], isMade: false };
  const seat = await coAnalysis.open({ number: 0, isWatching: true, client, world, random: new Random(1), recorder } as never);
  const of = (name: string) => recorder.figures().find(({ action }) => action === name);
  expect(of('view.create')).toMatchObject({ count: 1 });
  while (of('view.create')?.count !== 3) await seat.act(performance.now());
  expect(of('view.create')).toMatchObject({ count: 3, errors: 0 });
  expect(of('view.create')?.max).toBeLessThan(CLOSING_MS * 0.9);
  expect(of('view.close')).toMatchObject({ count: 2, errors: 0 });
  expect(of('view.close')?.p50).toBeGreaterThan(CLOSING_MS * 0.9);
});

test('CLI9 the rows of a dataset that is made are never there all at once', async () => {
  const pieces: Uint8Array[] = [];
  const commit = async (_input: unknown, { body }: { readonly body: AsyncIterable<Uint8Array> }) => {
    for await (const piece of body) if (pieces.push(piece) === 20) break;
    return { versionId: 2 };
  };
  const client = { dataset: { create: async () => ({ datasetId: 1 }) }, version: { commit } };
  const options = { rows: 100_000_000, seed: 1, signal: new AbortController().signal, tell: () => undefined };
  expect(await makeWorld(client as never, options)).toMatchObject({ versionId: 2, rows: 100_000_000 });
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(70_000);
  const lines = Buffer.concat(pieces).toString().split('\n');
  expect(lines[0]).toBe('order,day,region,product,customer,quantity,price,discount');
  expect(lines.slice(1, -1).map((line) => Number(line.split(',')[0]))).toEqual(Array.from({ length: lines.length - 2 }, (_, row) => row + 1));
  expect(lines.at(-1)).toBe('');
});

test.each([
  [3, '3 of 4 people for 2 s'],
  [4, '4 people for 2 s'],
])('CLI9 where %i of 4 people came, the outcome says so', (arrived, text) => {
  let printed = '';
  printOutcome({ print: (more: string) => (printed += more) } as never, { ...OUTCOME, arrived });
  expect(printed.split('\n')[0]).toBe(`${text}, scenario co-analysis, seed 1`);
});
