import { randomBytes } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { csv } from '../support/samples.ts';
import { runIn, YEARLY } from '../support/schedules.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** Datasets that have a label of their own. */
const NAMED = 20;

describe.each([
  ['plain', []],
  ['encrypted', ['--master-key', randomBytes(32).toString('base64')]],
] as const)('what datasets take of the disk, %s', (_, flags) => {
  let server: TestServer;
  let alice: Client;

  beforeAll(async () => {
    server = await startTestServer([...flags]);
    alice = await server.client('alice');
  });

  afterAll(() => server?.stop());

  const bytesBelow = async (...path: readonly string[]): Promise<number> => {
    const entries = await readdir(join(server.dataDir, ...path), { recursive: true, withFileTypes: true }).catch(() => []);
    const sizes = entries.filter((entry) => entry.isFile()).map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size);
    return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
  };

  const onDisk = async (datasetId: number): Promise<number> =>
    (await bytesBelow('objects', 'datasets', String(datasetId))) + (await bytesBelow('exports', String(datasetId)));

  const told = async (): Promise<Map<string, number>> => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const samples = text.matchAll(/^covista_storage_usage_by_dataset_bytes\{dataset="(\w+)"\} (\d+)$/gm);
    return new Map([...samples].map(([, dataset = '', bytes]) => [dataset, Number(bytes)]));
  };

  async function datasetOf(rows: number): Promise<number> {
    const { datasetId } = await alice.dataset.create({ name: 'Measured' });
    const body = csv('id,text', ...Array.from({ length: rows }, (_row, index) => `${index},${randomBytes(8).toString('hex')}`));
    await alice.version.commit({ datasetId, branch: 'main' }, { body });
    return datasetId;
  }

  test('OPS17 exported files count, and the disk agrees to the byte', async () => {
    const datasetId = await datasetOf(10_000);
    const before = await onDisk(datasetId);
    expect((await told()).get(String(datasetId))).toBe(before);
    await alice.tag.create({ datasetId, name: 'v1', ref: 'main' });
    const { scheduleId } = await alice.schedule.create({ datasetId, name: 'All', ref: 'v1', ...YEARLY, filesKept: 1 });
    for (let run = 1; run <= 2; run += 1) {
      await alice.schedule.run({ datasetId, scheduleId });
      await runIn(alice, { datasetId, scheduleId }, 'succeeded');
    }
    await expect.poll(async () => (await told()).get(String(datasetId)) === (await onDisk(datasetId))).toBe(true);
    expect(await bytesBelow('exports', String(datasetId))).toBeGreaterThan(200_000);
    await alice.schedule.delete({ datasetId, scheduleId });
    expect((await told()).get(String(datasetId))).toBe(before);
    expect(await onDisk(datasetId)).toBe(before);
  });

  test('OPS3 OPS17 of more datasets than have labels the largest have one, and with the others they come to what the disk has', async () => {
    for (let number = 0; number < NAMED + 3; number += 1) await datasetOf(10 + 20 * number);
    const { other, ...named } = Object.fromEntries(await told());
    const all = await readdir(join(server.dataDir, 'objects', 'datasets'));
    const sizes = await Promise.all(all.map(async (dataset) => ({ dataset, bytes: await onDisk(Number(dataset)) })));
    const largest = sizes.sort((one, next) => next.bytes - one.bytes).slice(0, NAMED);
    expect(named).toEqual(Object.fromEntries(largest.map(({ dataset, bytes }) => [dataset, bytes])));
    expect(other).toBe(sizes.slice(NAMED).reduce((sum, { bytes }) => sum + bytes, 0));
    expect(other).toBeGreaterThan(0);
  });
});
