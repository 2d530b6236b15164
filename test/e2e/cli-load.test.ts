import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { comparable, compare } from '../../bench/compare.ts';
import type { Measurement } from '../../bench/measurement.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { CleanUp } from '../../server/cli/load/clean-up.ts';
import { Admission } from '../../server/cli/load/guests.ts';
import { makeWorld } from '../../server/cli/load/world.ts';
import { runCli, startCli } from '../support/cli.ts';
import { SECRET, startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let token: string;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'covista-load-'));
  server = await startTestServer(['--sessions-per-subject-max', '8']);
  token = await server.token('alice');
});

afterAll(async () => {
  await server?.stop();
  await rm(directory, { recursive: true, force: true });
});

const FEW = ['--people', '4', '--ramp', '1', '--think', '50'];
const SMALL = [...FEW, '--rows', '2000'];

/** A short run. */
const load = (...flags: string[]) => {
  const size = flags.includes('--dataset') ? FEW : SMALL;
  return runCli(['load', '--url', server.url, '--scenario', 'browse', ...size, '--duration', '2', ...flags]);
};

describe('load', () => {
  test('CLI9 CLI10 says what became of every action, meets its objectives and leaves nothing behind', async () => {
    const out = join(directory, 'outcome.json');
    const objectives = ['*:errors=0', 'version.preview:p99=60s', 'connection:errors=0', 'sit:errors=0'].flatMap((text) => ['--slo', text]);
    const run = await load('--token', token, ...objectives, '--out', out);
    expect(run).toMatchObject({ status: 0 });
    expect(run.out).toMatch(/^version\.preview +\d+ +0 /m);
    expect(run.out).not.toMatch(/^(sit|connection) /m);
    const outcome = JSON.parse(await readFile(out, 'utf8'));
    const at = { of: 'people', value: 4 };
    expect(outcome).toMatchObject({ scenario: 'browse', people: 4, seed: 1, errors: {}, quick: false, scenarios: ['browse'] });
    expect(outcome.objectives.map(({ met }: { met: boolean }) => met)).toEqual([true, true, true, true]);
    const none = { name: '*: errors', value: 0, limit: 0, unit: 'count', bound: 'at most', met: true };
    expect(outcome.targets[0]).toEqual({ area: 'browse', ...none, at });
    expect(outcome.measurements).toEqual(
      expect.arrayContaining([
        { area: 'browse', name: 'version.preview: p50', value: expect.any(Number), unit: 'ms', at },
        { area: 'browse', name: 'version.preview: p99', value: expect.any(Number), unit: 'ms', at, limit: 60_000, bound: 'at most' },
        { area: 'browse', name: 'version.preview: answered', value: expect.any(Number), unit: 'per second', at },
        { area: 'browse', name: '*: errors', value: 0, unit: 'count', at, limit: 0, bound: 'at most' },
        { area: 'browse', name: 'sit: errors', value: 0, unit: 'count', at, limit: 0, bound: 'at most' },
      ]),
    );
    expect(new Set(outcome.measurements.map(({ name }: { name: string }) => name)).size).toBe(outcome.measurements.length);
    const slower = outcome.measurements.map((figure: Measurement) => ({ ...figure, value: figure.value * 1_000 + 1_000 }));
    expect(compare(outcome, outcome).passes).toBe(true);
    expect(compare(outcome, { ...outcome, measurements: slower }).lines.join()).toContain('browse / version.preview: p99 at 4 people');
    expect(comparable(outcome, outcome)).toBe(outcome.measurements.length);
    expect(outcome.machine).toMatchObject({ node: process.version });
    expect(outcome).toMatchObject({
      arrived: 4,
      serverMemoryBytes: expect.any(Number),
      overall: { perSecond: expect.any(Number), errors: 0, p50: expect.any(Number), p99: expect.any(Number) },
    });
    expect(outcome.overall.p99).toBeGreaterThanOrEqual(outcome.overall.p50);
    expect(outcome.arrival[0]).toMatchObject({ action: 'connect', count: expect.any(Number), errors: 0 });
    const alice = await server.client('alice');
    expect((await alice.dataset.list({})).items).toEqual([]);
  });

  test.each([
    ['who makes the dataset is one of them', []],
    ['somebody else makes it', ['--token']],
  ])('CLI9 people whose tokens the harness makes may all do what they came for, where %s', async (_what, more) => {
    const tokens = more.flatMap((flag) => [flag, token]);
    const flags = ['--as-many', '--scenario', 'browse', ...SMALL, '--duration', '2', ...tokens, '--slo', '*:errors=0'];
    const run = await runCli(['load', '--url', server.url, ...flags], { COVISTA_JWT_SECRET: SECRET });
    expect(run).toMatchObject({ status: 0 });
    expect(run.out).toMatch(/^connect +4 +0 /m);
  });

  test('CLI10 a missed objective is status 1, and what was refused names its setting', async () => {
    const out = join(directory, 'refused.json');
    const run = await load(
      '--token',
      token,
      '--people',
      '12',
      '--out',
      out,
      '--slo',
      'version.preview:max=0.001ms',
      '--slo',
      'no.such:errors=0',
      '--slo',
      '*:errors=0',
    );
    expect(run.status).toBe(1);
    // Those who were refused never came: that counts although it was before anybody was measured.
    expect(run.out).toMatch(/^MISSED {2}\*:errors=0, was [1-9]/m);
    expect(run.out).toMatch(/^MISSED {2}version\.preview:max=0\.001ms, was /m);
    expect(run.out).toMatch(/^MISSED {2}no\.such:errors=0, which never happened$/m);
    // What it is on the server, not what it is by default.
    expect(run.out).toContain('COVISTA_SESSIONS_PER_SUBJECT_MAX, which is 8 there');
    const outcome = JSON.parse(await readFile(out, 'utf8'));
    expect(outcome.limitsMet).toEqual([{ setting: 'COVISTA_SESSIONS_PER_SUBJECT_MAX', value: 8 }]);
  });

  test('CLI9 people explore together, and see each other’s notes', async () => {
    // As many actions as it takes until each kind has happened, however slow the machine is.
    const work = ['--scenario', 'co-analysis', '--think', '1', '--actions', '150', '--duration', '50'];
    const run = await load('--token', token, ...work, '--slo', '*:errors=0', '--slo', 'note.seen:p99=60s');
    expect(run.out).toMatch(/^view\.data +\d+ +0 /m);
    expect(run.out).toMatch(/^view\.create +\d+ +0 /m);
    expect(run.out).toMatch(/^view\.close +\d+ +0 /m);
    expect(run.out).toMatch(/^view\.seen +\d+ +0 /m);
    expect(run.out).toMatch(/^version\.commit +\d+ +0 /m);
    expect(run).toMatchObject({ status: 0 });
  });

  test('CLI9 the people come with tokens of their own, out of a file', async () => {
    const path = join(directory, 'tokens');
    await writeFile(path, `${token}\n${await server.token('bob')}\n`);
    // Bob has no grant on the dataset of the run until the run gives him one.
    const run = await load('--tokens', path, '--token', token, '--people', '2', '--slo', '*:errors=0');
    expect(run.status).toBe(0);
    expect(run.err).not.toContain('lacking');
  });

  test('CLI9 people explore a dataset that is there, by its own columns, and are let in for the time of the run', async () => {
    const erin = await server.client('erin');
    const hers = await server.token('erin');
    const { datasetId } = await erin.dataset.create({ name: 'Sightings', key: ['sighting'] });
    const rows = Array.from({ length: 300 }, (_, row) => `${row},bird ${row % 7},place ${row % 5},${row * 2},2026-01-0${1 + (row % 9)}`);
    for (const header of ['sighting,other', 'sighting,bird,place,wingspan,seen']) {
      const lines = header.includes('bird') ? rows : ['1,2'];
      await erin.version.commit({ datasetId, branch: 'main' }, { body: Buffer.from(`${header}\n${lines.join('\n')}\n`) });
    }
    const path = join(directory, 'guests');
    await writeFile(path, `${await server.token('carol')}\n${await server.token('dan')}\n`);
    const work = ['--scenario', 'co-analysis', '--think', '1', '--actions', '20', '--duration', '30', '--dataset', String(datasetId)];
    const run = await load('--tokens', path, '--token', hers, ...work, '--slo', '*:errors=0');
    expect(run.out).toMatch(/^view\.create +[1-9]\d* +0 /m);
    expect(run.status).toBe(0);
    expect(run.err).not.toContain('lacking');
    // Nothing is committed to what is not of the run, and nobody keeps a grant.
    expect((await erin.version.history({ datasetId, limit: 10 })).items).toHaveLength(2);
    expect((await erin.grant.list({ datasetId })).items.map(({ principal }) => principal)).toEqual(['user:erin']);
    const browsed = await load('--token', hers, '--dataset', String(datasetId), '--slo', '*:errors=0');
    expect(browsed).toMatchObject({ status: 0 });
    // A token that may not share the dataset: what is lacking to whom is told.
    await erin.grant.create({ datasetId, principal: 'user:carol', permission: 'write' });
    const lacking = await load('--tokens', path, '--token', await server.token('carol'), '--dataset', String(datasetId));
    expect(lacking.err).toMatch(/^write on dataset \d+ is lacking to user:dan \(no permission\); the token of the run may not give it: /);
    await erin.dataset.delete({ datasetId });
  });

  test('CLI9 what cannot be taken back is told, and ends by itself', async () => {
    const owner = await server.client('frank');
    const { datasetId } = await owner.dataset.create({ name: 'Lent' });
    const admission = new Admission({ owner, datasetId, runMs: 60_000 });
    expect(await admission.admit([{ principal: 'user:gina', has: 'no permission' }])).toBeUndefined();
    const { items } = await owner.grant.list({ datasetId });
    const lent = items.find(({ principal }) => principal === 'user:gina');
    const leftMs = Date.parse(lent?.validUntil ?? '') - Date.now();
    expect(leftMs > 60_000 && leftMs <= 11 * 60_000).toBe(true);
    await owner.dataset.delete({ datasetId });
    expect(await admission.end(new CleanUp())).toContain(`grants ${lent?.grantId} on dataset ${datasetId} could not be taken back`);
  });

  test('CLI10 a server that does not answer, and a file that cannot be written, are told at once', async () => {
    const silent = await runCli(['load', '--url', 'http://127.0.0.1:1', '--token', token]);
    expect(silent).toMatchObject({ status: 1, out: '', err: expect.stringContaining('unavailable') });
    const lost = await load('--token', token, '--out', join(directory, 'nowhere', 'outcome.json'));
    expect(lost).toMatchObject({ status: 1, out: '', err: expect.stringContaining('ENOENT') });
  });

  test('CLI10 a token that is refused is told by its line, and leaves no file that is empty', async () => {
    const [path, out] = [join(directory, 'bad-tokens'), join(directory, 'none.json')];
    for (const [text, line] of [
      [`${token}\n\nnonsense\n`, 3],
      ['nonsense\n', 1],
    ] as const) {
      await writeFile(path, text);
      const run = await load('--tokens', path, '--out', out);
      expect(run).toMatchObject({ status: 1, out: '', err: expect.stringContaining(`${path}, line ${line}: `) });
      await expect(readFile(out)).rejects.toMatchObject({ code: 'ENOENT' });
    }
    await writeFile(out, 'of an earlier run');
    await load('--tokens', path, '--out', out);
    expect(await readFile(out, 'utf8')).toBe('of an earlier run');
  });

  test('CLI9 whoever interrupts it is told what was found so far, and nothing is left behind', async () => {
    const asked = async (): Promise<number> => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      return Number(/^covista_requests_total\{operation="version\.preview"\} (\d+)$/m.exec(text)?.[1] ?? 0);
    };
    const before = await asked();
    const run = startCli(['load', '--url', server.url, '--token', token, '--scenario', 'browse', ...SMALL, '--duration', '600']);
    await expect.poll(asked, { timeout: 60_000 }).toBeGreaterThan(before);
    run.interrupt();
    expect(await run.status).toBe(0);
    expect(run.out()).toMatch(/^version\.preview +\d+ +0 /m);
    const alice = await server.client('alice');
    expect((await alice.dataset.list({})).items).toEqual([]);
  });

  test('CLI9 where somebody watches, one line says how it goes, and is gone at the end', async () => {
    const run = startCli(['load', '--url', server.url, '--token', token, '--scenario', 'browse', ...SMALL, '--duration', '600'], {}, undefined, true);
    await expect.poll(run.err, { timeout: 60_000 }).toMatch(/: 4 people, [1-9]/);
    run.interrupt();
    expect(await run.status).toBe(0);
    const lines = run.err().split('\r\x1b[K');
    // A look that was under way at the end is not shown behind it.
    expect([lines[0], lines.at(-1)]).toEqual(['', '']);
    const times = '[0-9.]+ m?s';
    const form = new RegExp(`^ *\\d+ s: \\d people, \\d+ actions/s, p50 ${times}, p95 ${times}, p99 ${times}, 0 errors(, server \\d+ MiB)?$`);
    for (const line of lines.slice(1, -1)) expect(line).toMatch(form);
  });

  test('CLI9 a run that cannot be prepared leaves nothing behind', async () => {
    const controller = new AbortController();
    const alice = await server.client('alice');
    const refused = Object.assign(Object.create(alice), {
      version: { commit: () => Promise.reject(new CovistaError('storage_full', 'there is no room')) },
    });
    const told: string[] = [];
    await expect(
      makeWorld(refused, { rows: 1, seed: 1, signal: controller.signal, tell: (left) => left !== undefined && told.push(left) }),
    ).rejects.toMatchObject({ code: 'storage_full' });
    expect(told).toEqual([]);
    expect((await alice.dataset.list({})).items).toEqual([]);
  });

  test.each([
    [['--url', 'http://example.com'], 'example.com is another machine'],
    [['--scenario', 'dance'], 'there is no scenario "dance"'],
    [['--token', 'x', '--people', '0'], '--people takes a whole number from 1 to 50000'],
    [['--token', 'x', '--duration', '2147484'], '--duration takes a whole number from 1 to 604800'],
    [['--as-many', '--tokens', 'x'], '--tokens and --as-many do not go together'],
    [['--token', 'x', '--dataset', '1', '--rows', '5'], '--dataset and --rows do not go together'],
    [['--token', 'x', '--url', 'localhost:8080'], 'not "localhost:8080"'],
    [['--token', 'x', '--url', 'localhost:8080', '--i-own-this-server'], 'not "localhost:8080"'],
    [['--token', 'x', '--slo', 'fast'], '--slo takes'],
    [[], 'load needs --token'],
  ])('CLI10 %j makes no sense', async (flags, reason) => {
    const run = await runCli(['load', ...flags]);
    expect(run.status).toBe(2);
    expect(run.err).toContain(reason);
  });
});
