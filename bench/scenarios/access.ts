import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { FRAME } from '../../protocol/frame.ts';
import type { DatasetId } from '../../protocol/ids.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import { createAuthorizer } from '../../server/services/access/authorizer.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';
import { type Content, schemaOf, UNRESTRICTED, visibleParts } from '../../server/storage/content-store.ts';
import { type Broker, createBroker } from '../../server/storage/parquet/broker.ts';
import { identifier } from '../../server/storage/parquet/quote.ts';
import { scopedRelation } from '../../server/storage/parquet/relation.ts';
import type { EffectiveGrant, GrantStore } from '../../server/storage/stores.ts';
import { type Measurement, ratioOf, type Scenario, type ScenarioOptions, sizeOf, summaryOf, timeRuns } from '../measurement.ts';
import { createWorkspace, FLIGHTS } from '../support/data.ts';
import { quoted } from '../support/duckdb.ts';
import { firstLine, flood, hex, type Target } from '../support/load.ts';

const AREA = 'access';
const CONNECTIONS = 100;
/** Requests that each connection keeps under way. */
const DEPTH = 32;

export const access: Scenario = {
  name: 'access',
  area: AREA,
  about: 'a trivial request on a dataset with its grants asked against without, and a read by who sees everything against a bare query, in turn',
  run: async (options) => [...(await measureRequests(options)), ...(await measureReads(options))],
};

async function measureRequests(options: ScenarioOptions): Promise<Measurement[]> {
  const children: ChildProcess[] = [];
  try {
    const [granted, open] = [await startPeer('granted', children), await startPeer('open', children)];
    const seconds = sizeOf(options, [0.5, 1, 2]);
    for (const target of [granted, open]) await flood(target, CONNECTIONS, seconds);
    const costs: { readonly granted: number; readonly open: number }[] = [];
    for (let run = 0; run < sizeOf(options, [1, 1, 7]); run += 1) {
      const without = await flood(open, CONNECTIONS, seconds);
      const asked = await flood(granted, CONNECTIONS, seconds);
      options.say(`run ${run + 1}: ${asked.perSecond} a second with grants, ${without.perSecond} without`);
      costs.push({ granted: 1 / asked.perCpuSecond, open: 1 / without.perCpuSecond });
    }
    const ratios = costs.map((pair) => pair.granted / pair.open);
    const name = 'CPU of a trivial request with authorization and scope / without';
    return [{ area: AREA, name, unit: 'ratio', ...summaryOf(ratios), limit: 1.1, bound: 'at most' }];
  } finally {
    for (const child of children) child.kill();
  }
}

async function startPeer(kind: 'granted' | 'open', children: ChildProcess[]): Promise<Target> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../peers/access.ts'), kind], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const { port, searchParams } = new URL(await firstLine(child));
  const request = (number: number): string => hex([FRAME.request, number, 'dataset.get', { datasetId: 1 }, null, false]);
  return {
    ...{ name: kind, path: '/rpc', greetings: 1, isText: false, port, pid: child.pid as number },
    hello: hex([FRAME.hello, PROTOCOL_VERSION, searchParams.get('token') ?? '', 'bench']),
    requests: Array.from({ length: DEPTH }, (_, index) => request(index + 1)),
    answer: new RegExp(`^\\[${FRAME.response},\\d+,\\{\\}\\]$`),
  };
}

/** Grants of somebody who sees everything by one of them, and a part by another. */
const GRANTS = ['user:bench', 'group:readers'].map(
  (principal, index): EffectiveGrant => ({
    ...{ grantId: index as EffectiveGrant['grantId'], datasetId: 1 as DatasetId, principal, permission: 'read', validFrom: null, validUntil: null },
    ...{ rowFilter: null, filter: null, columnMask: index === 0 ? null : ['DepDelay'], columnIdsBelow: index === 0 ? null : 1_000 },
    ...{ grantedBy: 'bench', grantedAt: '2026-01-01T00:00:00.000Z' },
  }),
);

/** All cells of 3,000,000 rows are looked at, once through the caller's scope and once straight from the file. */
async function measureReads(options: ScenarioOptions): Promise<Measurement[]> {
  const workspace = createWorkspace();
  const broker = await createBroker({
    limits: defaultLimits,
    spillDirectory: workspace.path('spill'),
    readableDirectories: [join(FLIGHTS, '..')],
    log: createLog('warn', false),
  });
  try {
    const content = await contentOf(broker);
    const authorizer = createAuthorizer({
      grants: { ofDataset: async () => GRANTS } as unknown as GrantStore,
      limits: defaultLimits,
      clock: systemClock,
    });
    const actor = { subject: 'bench', groups: ['readers'], serverAdmin: false, claims: {}, expiresAtMs: null };
    const read = (sql: string): Promise<void> => look(broker, sql, content);
    const scoped = async (): Promise<void> => {
      const { scope } = await authorizer.authorize(actor, 'read', 1 as DatasetId);
      await read(scopedRelation({ content, scope }).sql);
    };
    const names = schemaOf(visibleParts(content.schema, UNRESTRICTED), content.schema).map(({ name }) => identifier(name));
    const bare = (): Promise<void> => read(`SELECT ${names.join(', ')} FROM read_parquet(${quoted(FLIGHTS)})`);
    const times = { scoped: [] as number[], bare: [] as number[] };
    for (let run = -1; run < sizeOf(options, [2, 5, 25]); run += 1) {
      const [theirs = 0] = await timeRuns(1, bare, false);
      const [ours = 0] = await timeRuns(1, scoped, false);
      if (run < 0) continue;
      times.bare.push(theirs);
      times.scoped.push(ours);
    }
    const name = 'read of 3,000,000 rows by who sees everything / bare query';
    return [
      { area: AREA, name, ...ratioOf(times.scoped, times.bare), limit: 1.05, bound: 'at most' },
      { area: AREA, name: 'read of 3,000,000 rows by who sees everything', unit: 'ms', ...summaryOf(times.scoped) },
    ];
  } finally {
    broker.close();
    workspace.remove();
  }
}

const calm = (): { readonly signal: AbortSignal } => ({ signal: new AbortController().signal });

async function contentOf(broker: Broker): Promise<Content> {
  return broker.run('bulk', calm(), async (session) => {
    const columns = await session.rows(`DESCRIBE SELECT * FROM read_parquet(${quoted(FLIGHTS)})`);
    const [counted] = await session.rows(`SELECT count(*) AS rows FROM read_parquet(${quoted(FLIGHTS)})`);
    const rows = Number(counted?.rows ?? 0);
    return {
      schema: columns.map((column, index) => ({
        columnId: index + 1,
        name: String(column.column_name),
        type: String(column.column_type),
        nullable: true,
      })),
      schemaHash: 'flights',
      rows,
      files: [{ path: FLIGHTS, rows, sha256: 'flights', schemaHash: 'flights' }],
    };
  });
}

/** Looks at every cell that a query yields, so that none can be left out. */
async function look(broker: Broker, sql: string, { schema }: Content): Promise<void> {
  const cells = schema.map(({ name }) => identifier(name)).join(', ');
  await broker.run('bulk', calm(), (session) => session.rows(`SELECT bit_xor(hash(${cells})) AS seen FROM (${sql})`));
}
