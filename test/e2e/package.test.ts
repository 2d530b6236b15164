import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
/** An installation fetches what is not in npm's cache, which may take its time on a machine that is busy. */
const INSTALL_TIMEOUT_MS = 600_000;

const CONSUMER = `
import { type Client, connect, CovistaError, type ConnectionState } from 'covista/client';
import { type OperationName, operationsByName, PROTOCOL_VERSION } from 'covista/protocol';

export async function copy(url: string, token: string, file: Blob): Promise<number> {
  const client: Client = connect({ url, token });
  client.onState((state: ConnectionState) => state.kind === 'waiting' && state.delayMs);
  const { datasetId } = await client.dataset.create({ name: 'Copy' });
  const { rows, versionId } = await client.upload.file(file, { datasetId, branch: 'main' });
  for await (const event of client.dataset.watch({ datasetId, after: 0 })) if (event.kind === 'version.created') break;
  const { bytes } = await client.version.fetch({ datasetId, versionId, format: 'csv' });
  for await (const piece of bytes) piece.byteLength;
  return rows;
}

export const names: readonly OperationName[] = [...operationsByName.keys()];
export const version: number = PROTOCOL_VERSION;
export const isConflict = (error: unknown): boolean => error instanceof CovistaError && error.code === 'conflict';
`;

let directory: string;
let project: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'covista-package-'));
  project = join(directory, 'project');
  await mkdir(project);
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', directory], { cwd: ROOT });
  const [{ filename }] = JSON.parse(stdout) as [{ readonly filename: string }];
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', join(directory, filename)], { cwd: project });
}, INSTALL_TIMEOUT_MS);

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('the packed package in an empty project', () => {
  test('CLI7 it holds compiled files only', async () => {
    const { exports, bin } = JSON.parse(await readFile(join(project, 'node_modules/covista/package.json'), 'utf8'));
    for (const path of [exports['./client'].types, exports['./client'].default, exports['./protocol'].default, bin.covista]) {
      expect(await readFile(join(project, 'node_modules/covista', path), 'utf8')).not.toBe('');
    }
    const { stdout } = await run('find', [
      join(project, 'node_modules/covista'),
      '-name',
      '*.ts',
      '-not',
      '-name',
      '*.d.ts',
      '-not',
      '-path',
      '*/covista/node_modules/*',
    ]);
    expect(stdout).toBe('');
  });

  test('CLI7 a program that uses the client and the protocol type-checks, strictly and with the declarations of libraries', async () => {
    await writeFile(join(project, 'consumer.ts'), CONSUMER);
    const compilerOptions = { target: 'es2024', module: 'nodenext', lib: ['es2024', 'dom', 'dom.iterable'], types: [], strict: true, noEmit: true };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
    const checked = await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', project]).catch((fault: { stdout: string }) => fault);
    // What the declarations of Perspective's client lack is its own: the types of ws and Node, and newer libraries.
    const faults = checked.stdout.split('\n').filter((line) => line !== '' && !/^ |@perspective-dev\//.test(line));
    expect(faults).toEqual([]);
  });

  test('CLI7 the client bundles for a browser', async () => {
    const options = { bundle: true, platform: 'browser', format: 'esm', write: false, metafile: true } as const;
    const contents = "import { connect } from 'covista/client';\nconnect({ url: location.origin, token: '' });\n";
    const bundled = await build({ ...options, stdin: { contents, resolveDir: project } });
    expect(bundled.warnings).toEqual([]);
    expect(Object.values(bundled.metafile.outputs).flatMap(({ imports }) => imports)).toEqual([]);
  });

  test('CLI7 the command runs, and the server finds its migrations and workers', async () => {
    const command = join(project, 'node_modules/.bin/covista');
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
    expect((await run(command, ['--version'], { cwd: project })).stdout).toBe(`${version}\n`);
    const dataDir = join(directory, 'data');
    const server = spawn(command, ['serve', '--port', '0', '--data-dir', dataDir, '--log-level', 'error'], {
      cwd: project,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(server, 'exit');
    try {
      const [url] = (await Promise.race([
        once(createInterface(server.stdout), 'line'),
        ended.then(() => Promise.reject(new Error('the server ended'))),
      ])) as [string];
      const { stdout: token } = await run(command, ['token', '--sub', 'alice', '--data-dir', dataDir], { cwd: project });
      await writeFile(join(project, 'numbers.csv'), 'n,square\n1,1\n2,4\n3,9\n');
      const imported = await run(command, ['import', 'numbers.csv', '--url', url, '--token', token.trim()], { cwd: project });
      expect(imported.stdout).toBe('new dataset 1 "numbers": version 1 on main, 3 rows of numbers.csv\n');
    } finally {
      server.kill('SIGTERM');
    }
    expect(await ended).toEqual([0, null]);
  });
});
