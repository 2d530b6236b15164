import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type * as Y from 'yjs';
import type { Client } from '../../client/index.ts';
import { type ChannelDocument, openChannelDocument } from '../support/channel-document.ts';
import { annotation } from '../support/entries.ts';
import { endProcess, type ProcessServer, prepareProcessServer, type ServerProcess } from '../support/process-server.ts';
import { type Random, seededRandom } from '../support/random.ts';

/** Short by default; `CRASH_KILLS` makes it as long as wanted, `CRASH_SEED` repeats a run as far as timing allows. */
const KILLS = Number(process.env.CRASH_KILLS ?? 4);
const SEED = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const EDITS_PER_SECOND = 200;
const KILL_WITHIN_MS = 700;
/** Only how long the test waits for what never comes; a machine may be busy. */
const TIMEOUT_MS = 120_000 + KILLS * 60_000;

let server: ProcessServer;
let run: ServerProcess;
let random: Random;

beforeEach(async () => {
  random = seededRandom(SEED);
  server = await prepareProcessServer({ flags: ['--document-log-batches-max', '40'] });
  run = await server.start();
});

afterEach(async () => {
  await server?.dispose();
});

const annotations = (doc: Y.Doc): Y.Map<Y.Map<unknown>> => doc.getMap('annotations');

/** Edits one after the other until the channel ends; answers with the ids of those that were acknowledged. */
async function writeUntilEnd(document: ChannelDocument, author: string, prefix: string): Promise<string[]> {
  const numbered: { readonly id: string; readonly edit: number }[] = [];
  const timer = setInterval(() => {
    const id = `${prefix}-${numbered.length}`;
    annotations(document.doc).set(id, annotation(author, id));
    numbered.push({ id, edit: document.sent });
  }, 1_000 / EDITS_PER_SECOND);
  await document.closed;
  clearInterval(timer);
  expect(document.refusals).toEqual([]);
  return numbered.filter(({ edit }) => edit <= document.settled).map(({ id }) => id);
}

/** Ends the server without a word, and sometimes its PostgreSQL too, as when the machine fails. */
async function crash(): Promise<void> {
  run.kill('SIGKILL');
  expect((await run.ended).signal).toBe('SIGKILL');
  const database = await server.databasePid();
  if (random.below(3) === 0 && database !== undefined) await endProcess(database, 'SIGKILL');
}

const pause = (timeMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, timeMs));

async function synced(client: Client, name: string): Promise<ChannelDocument> {
  const document = await openChannelDocument(client, name);
  await document.synced;
  return document;
}

describe(`kill -9 (CRASH_SEED=${SEED})`, () => {
  test(
    'DOC21 no edit that was acknowledged is lost, whoever made it and whenever the server is killed',
    async () => {
      const [alice, bob] = [await server.client('alice'), await server.client('bob')];
      const { datasetId } = await alice.dataset.create({ name: 'Orders' });
      await alice.grant.create({ datasetId, principal: 'user:bob', permission: 'write' });
      const name = `dataset/${datasetId}`;
      const acknowledged = new Set<string>();
      for (let kill = 1; kill <= KILLS; kill += 1) {
        const writers = [await synced(alice, name), await synced(bob, name)] as const;
        const written = Promise.all([writeUntilEnd(writers[0], 'alice', `a${kill}`), writeUntilEnd(writers[1], 'bob', `b${kill}`)]);
        await pause(100 + random.below(KILL_WITHIN_MS));
        await crash();
        for (const id of (await written).flat()) acknowledged.add(id);
        run = await server.start();
        // A copy of its own, so that nobody brings back what the server had lost.
        const reader = await synced(alice, name);
        const there = new Set(annotations(reader.doc).keys());
        expect([...acknowledged].filter((id) => !there.has(id))).toEqual([]);
        for (const id of there) expect(annotations(reader.doc).get(id)?.toJSON()).toMatchObject({ body: id });
        reader.close();
      }
      expect(acknowledged.size).toBeGreaterThan(KILLS);
    },
    TIMEOUT_MS,
  );
});
