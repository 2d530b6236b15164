import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { cp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Client } from '../../client/index.ts';
import { runCommand } from '../../server/cli/commands.ts';
import type { Terminal } from '../../server/cli/terminal.ts';
import { startServer } from '../../server/wiring/server.ts';
import { type Measurement, type Scenario, type ScenarioOptions, sizeOf } from '../measurement.ts';
import { createWorkspace, type Workspace } from '../support/data.ts';
import { quoted, startDuckdb } from '../support/duckdb.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';

const AREA = 'backup';
const MiB = 2 ** 20;
const READ_BYTES = 1024 * 1024;
/** What the requirements allow until the service is back. */
const RECOVERY_MS_MAX = 4 * 60 * 60 * 1_000;

/** Every version is stored twice: as it came, and as Parquet. Nothing makes these numbers smaller. */
const COLUMNS = 8;
const ROW_BYTES = COLUMNS * 8;

const run = promisify(execFile);

export const backup: Scenario = {
  name: 'backup',
  area: AREA,
  about: 'backing up 10 GB, looking for damage, restoring them elsewhere and serving again, against a bare copy of the files',
  isLong: true,
  run: async (options) => {
    const workspace = createWorkspace();
    const server = await startBenchServer();
    try {
      await fill(server, workspace, sizeOf(options, [MiB, 16 * MiB, 10_000 * MiB]), options);
      return await measure(server, workspace, options);
    } finally {
      await server.stop();
      workspace.remove();
    }
  },
};

/** Commits versions that nothing shares with each other, until so many bytes are stored. */
async function fill(server: BenchServer, workspace: Workspace, storedBytes: number, { say }: ScenarioOptions): Promise<void> {
  const versionBytes = Math.min(storedBytes, 512 * MiB) / 2;
  const versions = Math.ceil(storedBytes / (2 * versionBytes));
  const duckdb = startDuckdb(2);
  const client = await server.client('bench');
  try {
    const { datasetId } = await client.dataset.create({ name: 'Bench: backup' });
    for (let version = 1; version <= versions; version += 1) {
      const path = workspace.path('version.parquet');
      const cells = Array.from({ length: COLUMNS }, (_, column) => `(hash(i, ${version * COLUMNS + column}) >> 1)::BIGINT AS c${column}`).join(', ');
      await duckdb.run([`COPY (SELECT ${cells} FROM range(${Math.ceil(versionBytes / ROW_BYTES)}) AS t(i)) TO ${quoted(path)} (FORMAT parquet)`]);
      await commit(client, datasetId, path);
      if (version % 5 === 0) say(`${version} of ${versions} versions are there`);
    }
  } finally {
    client.close();
    await duckdb.stop();
  }
}

async function commit(client: Client, datasetId: number, path: string): Promise<void> {
  await client.version.commit({ datasetId, branch: 'main' }, { body: createReadStream(path, { highWaterMark: READ_BYTES }) });
  await rm(path);
}

async function measure(server: BenchServer, workspace: Workspace, { say }: ScenarioOptions): Promise<Measurement[]> {
  const { dataDir, environment } = server;
  const objects = join(dataDir, 'objects');
  const [backups, elsewhere] = [workspace.path('backups'), workspace.path('elsewhere')];
  const covista = (...args: readonly string[]): Promise<void> => runCovista(args, environment);
  const size = await bytesBelow(objects);
  say(`${(size / MiB).toFixed(0)} MiB are stored`);
  const at = { of: 'MiB', value: Math.round(size / MiB) };
  const figures: Measurement[] = [];
  const timed = async (name: string, work: () => Promise<unknown>, better: Measurement['better'] = 'lower'): Promise<number> => {
    const startMs = performance.now();
    await work();
    const value = performance.now() - startMs;
    figures.push({ area: AREA, name, value, unit: 'ms', better, at });
    say(`${name}: ${(value / 1_000).toFixed(1)} s, ${(size / MiB / (value / 1_000)).toFixed(0)} MiB/s`);
    return value;
  };
  const copy = workspace.path('copy');
  const copyAll = async (): Promise<void> => {
    await cp(objects, copy, { recursive: true });
    await run('sync', []);
  };
  await timed('bare copy of the files', copyAll, 'neither');
  await rm(copy, { recursive: true });
  await timed('backup', () => covista('backup', backups, '--data-dir', dataDir));
  await timed('backup with nothing new', () => covista('backup', backups, '--data-dir', dataDir));
  await timed('verify the backups', () => covista('verify', backups));
  const restoreMs = await timed('restore', () => covista('restore', backups, '--data-dir', elsewhere));
  const verifyMs = await timed('verify what was restored', () => covista('verify', '--data-dir', elsewhere));
  const startMs = await timed('start on what was restored', () => startAndRead(elsewhere));
  const back: Measurement = { area: AREA, name: 'until the service is back', value: restoreMs + verifyMs + startMs, unit: 'ms', at };
  return [...figures, { ...back, limit: RECOVERY_MS_MAX, bound: 'at most' }];
}

/** A command in this process: starting one would take longer than small commands do. */
async function runCovista(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<void> {
  let said = '';
  const terminal: Terminal = {
    print: () => undefined,
    say: (text) => {
      said += text;
    },
    errorStream: process.stderr,
    interactive: false,
    interruption: () => new AbortController().signal,
  };
  const status = await runCommand(args, environment, { startServer }, terminal);
  if (status !== 0) throw new Error(`covista ${args.join(' ')}: ${said}`);
}

async function startAndRead(dataDir: string): Promise<void> {
  const server = await startBenchServer({}, dataDir);
  const client = await server.client('bench');
  try {
    const { rows } = await client.version.preview({ datasetId: 1, versionId: 1 });
    if (rows.length === 0) throw new Error('what was restored has no rows');
  } finally {
    client.close();
    await server.stop();
  }
}

async function bytesBelow(root: string): Promise<number> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const sizes = entries.filter((entry) => entry.isFile()).map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size);
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}
