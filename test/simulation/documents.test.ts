import { readFileSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest';
import { type Client, connect } from '../../client/index.ts';
import { Ledger, SimulatedPerson } from '../support/document-people.ts';
import { until } from '../support/documents.ts';
import { type ProcessServer, prepareProcessServer, type ServerProcess } from '../support/process-server.ts';
import { startProxy } from '../support/proxy.ts';
import { type Random, seededRandom } from '../support/random.ts';

/** Seeds that failed once are kept here and stay; `SIMULATION_SEEDS` sets how many new ones are tried, `SIMULATION_SEED` repeats one. */
const KEPT_IN = new URL('document-seeds.json', import.meta.url);
const kept = (): number[] => JSON.parse(readFileSync(KEPT_IN, 'utf8'));
const KEPT = kept();
const TRIED = Number(process.env.SIMULATION_SEEDS ?? 2);
const FIRST = Number(process.env.SIMULATION_SEED ?? Date.now() % 1_000_000);
const SEEDS = process.env.SIMULATION_SEED === undefined ? [...KEPT, ...Array.from({ length: TRIED }, (_, index) => FIRST + index)] : [FIRST];

const ROUNDS = 150;
const KILLS = 2;
const TIMEOUT_MS = 120_000;
const PEOPLE = ['alice', 'bob', 'carol', 'bob'];
const SETTINGS = { backoffBaseMs: 5, backoffMaxMs: 100, heartbeatMs: 2_000, editIntervalMs: 2, presenceIntervalMs: 20 };

describe('documents on networks and servers that fail', () => {
  let server: ProcessServer;
  let run: ServerProcess;
  let alice: Client;

  beforeAll(async () => {
    // A server that was killed would keep its documents from the next one for as long as this.
    server = await prepareProcessServer({ flags: ['--document-lease-ms', '500'] });
    run = await server.start();
    alice = await server.client('alice');
  });

  afterAll(async () => {
    await server?.dispose();
  });

  async function newDocument(): Promise<string> {
    const { datasetId } = await alice.dataset.create({ name: 'Simulated' });
    for (const principal of ['user:bob', 'user:carol']) await alice.grant.create({ datasetId, principal, permission: 'write' });
    return `dataset/${datasetId}`;
  }

  async function person(subject: string, name: string, shared: { readonly random: Random; readonly ledger: Ledger }): Promise<SimulatedPerson> {
    const proxy = await startProxy(server.port);
    const client = connect({ url: proxy.url, token: await server.token(subject), settings: SETTINGS });
    return new SimulatedPerson({ client, document: await client.document.open(name), proxy, ...shared });
  }

  async function kill(): Promise<void> {
    run.kill('SIGKILL');
    await run.ended;
    run = await server.start();
  }

  test.each(SEEDS)(
    'LIVE18 seed %i: all come to one state with everything that was acknowledged',
    async (seed) => {
      onTestFailed(() => keep(seed));
      const random = seededRandom(seed);
      const ledger = new Ledger();
      const name = await newDocument();
      const people = await Promise.all(PEOPLE.map((subject) => person(subject, name, { random, ledger })));
      const kills = new Set(Array.from({ length: KILLS }, () => random.below(ROUNDS)));
      for (let round = 0; round < ROUNDS; round += 1) {
        for (let acts = random.below(4); acts > 0; acts -= 1) random.pick(people as [SimulatedPerson, ...SimulatedPerson[]]).act();
        if (kills.has(round)) await kill();
        else await new Promise((resolve) => setTimeout(resolve, random.below(20)));
      }
      await Promise.all(people.map((one) => one.settle()));
      const fresh = await alice.document.open(name);
      await fresh.whenSynced();
      for (const { document } of people) await until(document, () => isDeepStrictEqual(document.doc.toJSON(), fresh.doc.toJSON()));
      const views = fresh
        .savedViews()
        .list()
        .map(({ id }) => id);
      const present = new Set([...views, ...fresh.annotations.list().map(({ id }) => id)]);
      expect([...ledger.acknowledged].filter((id) => !present.has(id) && !ledger.removed.has(id))).toEqual([]);
      expect(ledger.surprises).toEqual([]);
      expect(views.filter((id) => id.startsWith('forged'))).toEqual([]);
      expect(present.size).toBeGreaterThan(0);
      fresh.close();
      for (const one of people) one.close();
      await Promise.all(people.map(({ proxy }) => proxy.close()));
    },
    TIMEOUT_MS,
  );
});

/** With those of tests that failed before in the same run. */
function keep(seed: number): void {
  const seeds = [...new Set([...kept(), seed])].sort((one, other) => one - other);
  writeFileSync(KEPT_IN, `${JSON.stringify(seeds)}\n`);
}
