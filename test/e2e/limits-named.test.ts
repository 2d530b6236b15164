import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const LIMITS = {
  documentConnectionsMax: 1,
  documentsOpenMax: 1,
  documentHistoryPerSubjectMax: 1,
  watchersPerDatasetMax: 1,
  commitsQueuedMax: 1,
} as const;

let server: TestServer;
let alice: Client;
const datasetIds: number[] = [];

beforeAll(async () => {
  const flags = Object.entries(LIMITS).flatMap(([name, most]) => [
    `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    String(most),
  ]);
  server = await startTestServer(flags);
  alice = await server.client('alice');
  for (const name of ['one', 'other']) {
    const { datasetId } = await alice.dataset.create({ name });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: Buffer.from('id,amount\n1,2\n') });
    datasetIds.push(datasetId);
  }
});

afterAll(() => server?.stop());

describe('what is refused by a limit', () => {
  test('SET4 names it: documents', async () => {
    const [one, other] = datasetIds;
    const opened = await alice.document.open(`dataset/${one}`);
    await opened.whenSynced();
    const connect = (id: number | undefined) => alice.document.connect({ name: `dataset/${id}` }, { onMessage: () => undefined });
    await expect(connect(one)).rejects.toMatchObject({ code: 'rate_limited', details: { documentConnectionsMax: 1 } });
    await expect(connect(other)).rejects.toMatchObject({ code: 'unavailable', details: { documentsOpenMax: 1 } });
    opened.close();
  });

  test('SET4 names it: snapshots of documents', async () => {
    const name = `dataset/${datasetIds[0]}`;
    const opened = await alice.document.open(name);
    await opened.whenSynced();
    const save = () => alice.document.saveSnapshot({ name, label: 'Now' });
    // How many find the one before them done goes with the hour.
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, save));
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    expect(refused.length).toBeGreaterThan(0);
    for (const reason of refused) expect(reason).toMatchObject({ code: 'rate_limited', details: { documentHistoryPerSubjectMax: 1 } });
    opened.close();
  });

  test('SET4 names it: watchers', async () => {
    const datasetId = datasetIds[0] as number;
    const watching = alice.dataset.watch({ datasetId })[Symbol.asyncIterator]();
    await watching.next();
    // Whoever is told of what happens is counted.
    await alice.tag.create({ datasetId, name: 'seen', ref: 'main' });
    await watching.next();
    const more = alice.dataset.watch({ datasetId })[Symbol.asyncIterator]();
    await expect(more.next().then(() => more.next())).rejects.toMatchObject({ code: 'rate_limited', details: { watchersPerDatasetMax: 1 } });
    await watching.return?.();
  });

  test('SET4 names it: commits', async () => {
    const { datasetId } = await alice.dataset.create({ name: 'busy' });
    const commits = Array.from({ length: 20 }, (_, number) =>
      alice.version.commit({ datasetId, branch: `branch-${number}` }, { body: Buffer.from('id\n1\n') }),
    );
    const refused = (await Promise.allSettled(commits)).flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    expect(refused.length).toBeGreaterThan(0);
    for (const reason of refused) expect(reason).toMatchObject({ code: 'rate_limited', details: { commitsQueuedMax: 1 } });
  });
});
