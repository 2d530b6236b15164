import { mkdir, rm } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { CovistaError, errorBody } from '../../protocol/errors.ts';
import { present } from '../shared/assert.ts';
import { isDecimal } from '../shared/numeric-types.ts';
import { EngineError } from '../storage/parquet/engine-error.ts';
import { createHardenedInstance } from '../storage/parquet/instance.ts';
import { COLUMN_NAME, KeptColumns } from './duckdb-tables/kept-columns.ts';
import { Queries } from './duckdb-tables/queries.ts';
import { type HostedTable, RESULT_NAME, Results } from './duckdb-tables/results.ts';
import { type DuckdbTableSource, Table } from './duckdb-tables/table.ts';
import { TableSession } from './duckdb-tables/table-session.ts';
import type { DuckdbTablesOptions, FromDuckdbTables, ToDuckdbTables } from './duckdb-tables.protocol.ts';
import { SessionTurns } from './session-turns.ts';

const port = present(parentPort, 'the port of a worker');
const { limits, spillDirectory, readableDirectories }: DuckdbTablesOptions = workerData;

interface Loaded {
  readonly key: string;
  readonly hosted: HostedTable;
}

const loading = new Map<number, AbortController>();
const tables = new Map<number, Loaded>();
const sessions = new Map<number, TableSession>();

const post = (message: FromDuckdbTables): void => port.postMessage(message);
const onFault = (fault: unknown): void => post({ kind: 'fault', message: fault instanceof Error ? (fault.stack ?? fault.message) : String(fault) });
// What is let on goes on when the turn is over, so that one is enough for a turn.
const turns = new SessionTurns<() => void>(0, (_session, goOn) => goOn());

await rm(spillDirectory, { recursive: true, force: true });
await mkdir(spillDirectory, { recursive: true, mode: 0o700 });
// One thread: a query runs on the thread that carries it, so that as many run side by side as are admitted, and none waits for the tasks of another.
const instance = await createHardenedInstance({
  threads: 1,
  memoryBytes: limits.duckdbTablesMemoryBytes,
  spillDirectory,
  spillBytesMax: limits.duckdbTablesSpillBytesMax,
  directories: [...readableDirectories, spillDirectory],
});
const queries = new Queries(instance, limits);
const columns = new KeptColumns(queries, limits, onFault);
const results = new Results({ queries, columns, limits, onFault });

async function load(id: number, key: string, source: DuckdbTableSource): Promise<void> {
  const controller = new AbortController();
  loading.set(id, controller);
  try {
    const table = new Table(source);
    const rows = table.isWhole ? table.fileRows : await count(table, controller.signal);
    controller.signal.throwIfAborted();
    tables.set(id, { key, hosted: { id, table, rows } });
    columns.open(id);
    const hasDecimals = table.columns.some(({ type }) => isDecimal(type));
    post({ kind: 'loaded', table: id, rows, schema: new Map(table.columns.map(({ name, kind }) => [name, kind])), hasDecimals });
  } catch (fault) {
    post({ kind: 'failed', table: id, error: errorBody(loadError(fault)) });
  } finally {
    loading.delete(id);
  }
}

async function count(table: Table, signal: AbortSignal): Promise<number> {
  const { sql, values } = table.countStatement();
  const [row] = await queries.run('interactive', signal, (session) => session.rows(sql, values));
  return Number(row?.rows ?? 0);
}

/** What DuckDB says of a row filter that fails can quote what it hides. */
function loadError(fault: unknown): CovistaError {
  if (fault instanceof CovistaError) return fault;
  onFault(fault);
  if (fault instanceof EngineError) return new CovistaError('unprocessable_data', 'the rows of this version cannot be read as you may see them');
  return new CovistaError('internal', 'the table cannot be loaded');
}

function connect(id: number, session: number, holder: string): void {
  const loaded = tables.get(id);
  if (loaded === undefined) return;
  // Small messages lie in a buffer that others share, which cannot be given away.
  const respond = (bytes: Uint8Array): void => {
    const own = new Uint8Array(bytes);
    port.postMessage({ kind: 'response', session, bytes: own } satisfies FromDuckdbTables, [own.buffer]);
  };
  turns.open(session, loaded.key);
  const turn = (): Promise<void> => new Promise((resolve) => turns.add(session, resolve) || resolve());
  sessions.set(session, new TableSession({ ...loaded, holder, limits, queries, results, turn, respond, onFault }));
}

/** What waits for its turn is let on, to find that the session has ended. */
function disconnect(session: number): void {
  sessions.get(session)?.close().catch(onFault);
  sessions.delete(session);
  for (const goOn of turns.close(session)) goOn();
}

async function takeInventory(): Promise<void> {
  const { relations, columns: kept } = await countRelations().catch((fault: unknown) => {
    onFault(fault);
    return NOT_COUNTED;
  });
  let views = 0;
  for (const session of sessions.values()) views += session.views;
  const inventory = { sessions: sessions.size, views, results: results.size, relations };
  post({ kind: 'inventory', inventory, columns: kept, hits: { views: { ...results.counts }, columns: { ...columns.counts } } });
}

const NOT_COUNTED = { relations: null, columns: null };

async function countRelations(): Promise<{ readonly relations: number; readonly columns: number }> {
  const named = (beginning: string): string => `count(*) FILTER (starts_with(table_name, '${beginning}'))`;
  const sql = `SELECT ${named(RESULT_NAME)} AS relations, ${named(COLUMN_NAME)} AS columns FROM duckdb_tables()`;
  const [row] = await queries.run('interactive', new AbortController().signal, (session) => session.rows(sql));
  return { relations: Number(row?.relations ?? 0), columns: Number(row?.columns ?? 0) };
}

async function close(): Promise<void> {
  await Promise.all([...sessions.values()].map((session) => session.close()));
  await results.settled();
  await columns.close();
  queries.close();
  port.close();
}

port.on('message', (message: ToDuckdbTables) => {
  switch (message.kind) {
    case 'load':
      void load(message.table, message.key, message.source);
      break;
    case 'unload':
      loading.get(message.table)?.abort(new CovistaError('cancelled', 'the loading was cancelled'));
      tables.delete(message.table);
      columns.forget(message.table);
      break;
    case 'connect':
      connect(message.table, message.session, message.holder);
      break;
    case 'request':
      sessions.get(message.session)?.handle(message.bytes).catch(onFault);
      break;
    case 'disconnect':
      disconnect(message.session);
      break;
    case 'inventory':
      void takeInventory();
      break;
    case 'close':
      void close();
      break;
  }
});
post({ kind: 'ready' });
