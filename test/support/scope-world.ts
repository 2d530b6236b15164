import type { Client } from '../../client/index.ts';
import type { OperationName } from '../../protocol/operations/index.ts';
import type { TokenRequest } from '../../server/gateway/mint.ts';
import { seededRandom } from './random.ts';
import { csv } from './samples.ts';
import type { Asked } from './transports.ts';

/** What must not come out: texts that are found wherever they are, and a number whose digits nothing else has. */
export const HIDDEN_ROW = 'ZQROWCANARY';
export const HIDDEN_CELL = 'ZQCELLCANARY';
export const HIDDEN_COLUMN = 'zqcolumncanary';
export const HIDDEN_FILE = 'ZQFILECANARY';
export const HIDDEN_NUMBER = 918_273_645;

/** A dataset whose visible part is the same whatever the variant is. */
export interface Variant {
  /** About how many hidden rows there are to a visible one. */
  readonly hiddenShare: number;
  readonly seed: number;
}

export interface ScopeWorld {
  readonly datasetId: number;
  readonly versionIds: readonly number[];
}

export interface ScopedReader {
  readonly subject: string;
  readonly token: Partial<TokenRequest>;
  readonly grants: readonly { readonly rowFilter?: string; readonly columnMask?: string[] }[];
  /** What of the world is hidden from them. */
  readonly hidden: readonly (string | number)[];
}

export const READERS: readonly ScopedReader[] = [
  { subject: 'filtered', token: {}, grants: [{ rowFilter: "region = 'EU'" }], hidden: [HIDDEN_ROW, HIDDEN_FILE, HIDDEN_NUMBER] },
  { subject: 'masked', token: {}, grants: [{ columnMask: [HIDDEN_COLUMN] }], hidden: [HIDDEN_COLUMN, HIDDEN_CELL, HIDDEN_FILE] },
  {
    subject: 'both',
    token: { claims: { groups: ['small'], regions: ['EU', 'nowhere'] } },
    grants: [
      { rowFilter: 'region IN ({{regions}})', columnMask: [HIDDEN_COLUMN] },
      { rowFilter: `amount < 3 AND region <> 'XX'`, columnMask: [HIDDEN_COLUMN, 'name'] },
    ],
    hidden: [HIDDEN_ROW, HIDDEN_CELL, HIDDEN_COLUMN, HIDDEN_FILE, HIDDEN_NUMBER],
  },
];

const HEADER = `id,region,name,amount,${HIDDEN_COLUMN}`;
const VISIBLE_ROWS = 3_000;

const visibleRow = (id: number, name = `name ${id}`): string => `${id},EU,${name},${id % 10},${HIDDEN_CELL}-${id}`;
const hiddenRow = (id: number, text: string): string => `${id},XX,${HIDDEN_ROW}-${text},${HIDDEN_NUMBER},${HIDDEN_ROW}`;

/** Hidden rows between the visible ones, in other places and of other content in each variant. */
function mixed(visible: readonly string[], { hiddenShare, seed }: Variant, firstId: number): string[] {
  const random = seededRandom(seed);
  const texts = visible.map(() => Array.from({ length: random.below(2 * hiddenShare + 1) }, () => String(random.below(1_000_000))));
  const rows = visible.flatMap((row, index) => [...(texts[index] ?? []).map((text) => ({ text })), { row }]);
  return [...rows.map((one, index) => ('row' in one ? one.row : hiddenRow(firstId + index, one.text))), hiddenRow(firstId + rows.length, 'last')];
}

/** Versions that change visible and hidden rows, do not fit the filters, and were read badly or not at all. */
export async function buildScopeWorld(alice: Client, variant: Variant): Promise<ScopeWorld> {
  const { datasetId } = await alice.dataset.create({ name: 'Staff', key: ['id'] });
  const versionIds: number[] = [];
  const commit = async (body: Uint8Array, options: object): Promise<void> => {
    const { versionId } = await alice.version.commit({ datasetId, branch: 'main', fileName: `${HIDDEN_FILE}.csv`, ...options }, { body });
    versionIds.push(versionId);
  };
  const ids = Array.from({ length: VISIBLE_ROWS }, (_unused, index) => index + 1);
  await commit(
    csv(
      HEADER,
      ...mixed(
        ids.map((id) => visibleRow(id)),
        variant,
        1_000_000,
      ),
    ),
    { message: 'one' },
  );
  const changed = [...ids.slice(10, 20).map((id) => visibleRow(id, 'changed')), visibleRow(9_001), visibleRow(9_002)];
  await commit(csv(HEADER, ...mixed(changed, variant, 1_000_003)), { message: 'two', mode: 'upsert', key: ['id'] });
  await commit(csv(HEADER, ...mixed([visibleRow(9_003)], variant, 2_000_000)), { message: 'three', mode: 'append' });
  await grantAll(alice, datasetId);
  const broken = [hiddenRow(3_000_001, 'broken'), `5,EU,too,many,${HIDDEN_CELL},${HIDDEN_ROW},fields`, `6,XX,"${HIDDEN_ROW}`];
  await commit(csv(HEADER, visibleRow(1), ...broken), { message: 'four: partial' });
  await commit(new TextEncoder().encode(`{"${HIDDEN_ROW}": [1, "${HIDDEN_CELL}"`), { message: 'five: failed', fileName: `${HIDDEN_FILE}.json` });
  await commit(csv(`id,area,${HIDDEN_COLUMN}`, `1,${HIDDEN_ROW},${HIDDEN_CELL}`), { message: 'six: other columns' });
  await commit(csv(`id,region,amount,${HIDDEN_COLUMN}`, `${HIDDEN_NUMBER},${HIDDEN_NUMBER},7,${HIDDEN_CELL}`), { message: 'seven: other types' });
  const repeated = [hiddenRow(7, 'a'), hiddenRow(7, 'b'), visibleRow(1)];
  await commit(csv(`${HEADER},zqcolumncanarytoo`, ...repeated.map((row) => `${row},${HIDDEN_CELL}`)), { message: 'eight: keys twice' });
  await alice.tag.create({ datasetId, name: 'v1', ref: '1' });
  await alice.branch.create({ datasetId, name: 'side', from: '2' });
  return { datasetId, versionIds };
}

async function grantAll(alice: Client, datasetId: number): Promise<void> {
  for (const { subject, grants } of READERS) {
    for (const [index, grant] of grants.entries()) {
      await alice.grant.create({ datasetId, principal: index === 0 ? `user:${subject}` : 'group:small', permission: 'read', ...grant });
    }
  }
}

/** What reads tables, views and documents, which have tests of their own (`scope-leaks-tables.test.ts`). */
export const LIVE_READINGS = [
  'table.open',
  'table.get',
  'table.close',
  'table.connect',
  'view.create',
  'view.data',
  'view.export',
  'view.close',
  'document.connect',
  'document.attribution',
  'document.snapshots',
  'document.readSnapshot',
  'document.scopes',
] as const satisfies readonly OperationName[];

/** What reads by the clock, which has a test of its own (`scope-leaks-schedules.test.ts`). */
export const SCHEDULE_READINGS = [
  'schedule.create',
  'schedule.list',
  'schedule.get',
  'schedule.update',
  'schedule.pause',
  'schedule.resume',
  'schedule.run',
  'schedule.runs',
  'schedule.download',
  'schedule.delete',
  'schedule.times',
] as const satisfies readonly OperationName[];

/** Everything that can be read of a world, in every format; refs and versions in every pair. */
export function readings({ datasetId, versionIds }: ScopeWorld): Asked[] {
  const each = (operation: Asked['operation'], inputs: readonly object[]): Asked[] =>
    inputs.map((input) => ({ operation, input: { datasetId, ...input } }));
  const versions = versionIds.map((versionId) => ({ versionId }));
  const pairs = ['1 2', '2 1', '2 3', '3 4', '4 1', '1 5', '3 6', '6 7', '7 8', '8 1'].map((pair) => {
    const [from = '', to = ''] = pair.split(' ');
    return { from, to };
  });
  const formats = ['parquet', 'csv', 'ndjson', 'arrow', 'original'] as const;
  return [
    { operation: 'dataset.list', input: {} },
    ...each('dataset.get', [{}]),
    ...each('access.get', [{}]),
    ...each('version.get', versions),
    ...each('version.schema', versions),
    ...each('version.preview', [...versions, { versionId: 1, startRow: 2_990, endRow: 10_000 }, { versionId: 1, columns: ['name'] }]),
    ...each('version.statistics', [...versions, { versionId: 2, columns: ['id', 'amount'] }]),
    ...each(
      'version.download',
      versions.flatMap((version) => formats.map((format) => ({ ...version, format }))),
    ),
    ...each('version.history', [{}, { ref: 'side' }, { ref: 'v1' }, { limit: 2 }]),
    ...each('branch.list', [{}]),
    ...each('branch.get', [{ branch: 'main' }, { branch: 'side' }]),
    ...each('branch.log', [{ branch: 'main' }]),
    ...each('tag.list', [{}]),
    ...each('tag.get', [{ tag: 'v1' }]),
    ...each('ref.resolve', [{ ref: 'main~2' }, { ref: 'v1' }]),
    ...each('ref.pointer', [{ name: 'side' }]),
    ...each('diff.schema', pairs),
    ...each('diff.rows', [...pairs, ...pairs.map((pair) => ({ ...pair, key: null }))]),
    ...each('diff.stream', [...pairs.map((pair) => ({ ...pair, key: ['id'] })), { from: '1', to: '2', key: ['name'] }]),
  ];
}
