import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import type { CovistaError } from '../../protocol/errors.ts';
import type { OperationName } from '../../protocol/operations/index.ts';
import { type Footprint, footprint } from '../support/inspect.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { overRest, overSocket, type Transport } from '../support/transports.ts';

let server: TestServer;
let alice: Client;
let transports: readonly Transport[];
let datasetId: number;

beforeAll(async () => {
  server = await startTestServer();
  alice = await server.client('alice');
  transports = [overSocket(alice), overRest(server.url, await server.token('alice'))];
  ({ datasetId } = await alice.dataset.create({ name: 'Names' }));
  await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
  await alice.branch.create({ datasetId, name: 'side' });
});

afterAll(async () => {
  await server?.stop();
});

/** Names that no branch and no tag may have. */
const HOSTILE: Readonly<Record<string, string>> = {
  'a way up': '../../etc/passwd',
  'a way up inside': 'a/../b',
  'dots alone': '..',
  'an absolute path': '/etc/passwd',
  'a slash at the end': 'feature/',
  'two slashes': 'a//b',
  'a NUL': 'a\0b',
  'a line break': 'a\nb',
  'an escape sequence': '\u001b[31mred',
  'a quote': "o'hara",
  'double quotes': 'a"b',
  'a backtick': 'a`id`',
  SQL: "x'; DROP TABLE versions; --",
  'a backslash': 'a\\..\\b',
  'a shell': '$(id); id | id',
  'a tilde': 'main~1',
  'an at sign': 'main@2026-01-01',
  'a colon': 'a:b',
  'digits alone': '42',
  'the reserved name': 'latest',
  'the reserved name in capitals': 'LATEST',
  'white space alone': '   ',
  'white space at the end': 'main ',
  nothing: '',
  'a right-to-left mark': 'a\u202eb',
  'a zero-width space': 'ma\u200bin',
  'half a surrogate pair': 'a\ud800b',
  '10,000 characters': 'x'.repeat(10_000),
};

/** Everywhere that a caller can put the name of a branch or tag. */
const PLACES: readonly (readonly [OperationName, (name: string) => Record<string, unknown>])[] = [
  ['branch.create', (name) => ({ name })],
  ['branch.get', (branch) => ({ branch })],
  ['branch.log', (branch) => ({ branch })],
  ['branch.delete', (branch) => ({ branch })],
  ['branch.rename', (branch) => ({ branch, name: 'fine' })],
  ['branch.rename', (name) => ({ branch: 'side', name })],
  ['branch.reset', (branch) => ({ branch, to: '1' })],
  ['branch.protect', (branch) => ({ branch, protected: true })],
  ['version.commit', (branch) => ({ branch })],
  ['tag.create', (name) => ({ name })],
  ['tag.get', (tag) => ({ tag })],
  ['ref.pointer', (name) => ({ name })],
];

/** Everywhere that a caller can put a ref. */
const REF_PLACES: readonly (readonly [OperationName, (ref: string) => Record<string, unknown>])[] = [
  ['ref.resolve', (ref) => ({ ref })],
  ['version.history', (ref) => ({ ref })],
  ['branch.create', (from) => ({ name: 'fine', from })],
  ['branch.reset', (to) => ({ branch: 'side', to })],
  ['tag.create', (ref) => ({ name: 'fine', ref })],
  ['version.commit', (restore) => ({ branch: 'side', restore })],
  ['version.commit', (mergedFrom) => ({ branch: 'side', mergedFrom })],
  ['diff.schema', (from) => ({ from, to: 'main' })],
  ['diff.rows', (to) => ({ from: 'main', to })],
  ['diff.stream', (to) => ({ from: 'main', to })],
];

async function refusals(operation: OperationName, input: Record<string, unknown>): Promise<CovistaError[]> {
  const body = operation === 'version.commit' && input.restore === undefined ? csv('id', '2') : undefined;
  const errors: CovistaError[] = [];
  for (const transport of transports) {
    // A client of HTTP cannot write some texts at all: what cannot be encoded in UTF-8, and an empty segment of a path or one of dots.
    if (transport.name === 'REST' && Object.values(input).some((value) => typeof value === 'string' && !isSendable(value))) continue;
    const outcome = await transport.run({ operation, input: { datasetId, ...input }, body }).then(
      (value) => expect.fail(`${operation} ${JSON.stringify(input)} over ${transport.name} was accepted: ${JSON.stringify(value)}`),
      (error: CovistaError) => error,
    );
    errors.push(outcome);
  }
  return errors;
}

const isSendable = (text: string): boolean => text.isWellFormed() && text !== '' && text !== '..';

let before: Footprint;

async function remember(): Promise<void> {
  before = await footprint(server);
}

async function expectNothingLeft(): Promise<void> {
  expect(await footprint(server)).toEqual(before);
}

describe.each(Object.entries(HOSTILE))('NAME1 %s', (what, name) => {
  beforeEach(remember);
  afterEach(expectNothingLeft);

  test('is refused wherever a branch or tag is named', async () => {
    for (const [operation, place] of PLACES) {
      for (const error of await refusals(operation, place(name))) {
        // Header lines have a bound of their own, and what a path is split by comes first.
        expect(['invalid_input', ...(what === '10,000 characters' ? ['payload_too_large'] : [])], `${operation}: ${error.message}`).toContain(
          error.code,
        );
        expect(error.message).toMatch(/must|reserved/);
        expect(error.message.length).toBeLessThan(1_000);
      }
    }
  });

  test('NAME3 means no version wherever a ref is taken', async () => {
    // A ref, unlike a name, may be the reserved one.
    if (name === 'latest') return;
    for (const [operation, place] of REF_PLACES) {
      for (const error of await refusals(operation, place(name))) {
        expect(['invalid_input', 'not_found'], `${operation}: ${error.code} ${error.message}`).toContain(error.code);
        expect(error.message.length).toBeLessThan(1_000);
      }
    }
  }, 30_000);
});

describe('paths of HTTP as no well-meaning client writes them', () => {
  beforeEach(remember);
  afterEach(expectNothingLeft);

  const SEGMENTS: Readonly<Record<string, string>> = {
    '..': 'invalid_input',
    '%2e%2e': 'invalid_input',
    '%2e%2e%2f%2e%2e%2fetc%2fpasswd': 'invalid_input',
    '..%2f..%2fsecret': 'invalid_input',
    'a%00b': 'invalid_input',
    'a%0d%0aset-cookie:%20x': 'invalid_input',
    'a%ff': 'invalid_input',
    'a%c0%afb': 'invalid_input',
    'a%': 'invalid_input',
    'a%zz': 'invalid_input',
    '%ed%a0%80': 'invalid_input',
    'a/b/c/d': 'unknown_operation',
    '': 'unknown_operation',
  };

  test.each(Object.entries(SEGMENTS))('NAME1 %j is %s', async (segment, code) => {
    const token = await server.token('alice');
    for (const [method, path] of [
      ['GET', `/api/datasets/${datasetId}/pointers/${segment}`],
      ['POST', `/api/datasets/${datasetId}/branches/${segment}/commit`],
      ['GET', `/api/datasets/${datasetId}/tags/${segment}`],
    ] as const) {
      const answer = await rawRequest(method, path, token);
      expect(answer, path).toMatchObject({ error: { code } });
    }
  });

  /** Sends the path as it is, which `fetch` does not. */
  async function rawRequest(method: string, path: string, token: string): Promise<unknown> {
    const { port } = new URL(server.url);
    const headers = { authorization: `Bearer ${token}`, 'content-length': 0 };
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return json(response);
  }
});

describe('refs that almost mean something', () => {
  beforeEach(remember);
  afterEach(expectNothingLeft);

  const REFS: Readonly<Record<string, 'invalid_input' | 'not_found'>> = {
    '0': 'invalid_input',
    '999': 'not_found',
    '99999999999999999999': 'invalid_input',
    '-1': 'not_found',
    '1e0': 'not_found',
    'main~99': 'not_found',
    'main~999999999999': 'invalid_input',
    'main~-1': 'invalid_input',
    'main~x': 'invalid_input',
    '~1': 'invalid_input',
    'main@yesterday': 'invalid_input',
    'main@2026-13-45': 'invalid_input',
    'main@1999-01-01': 'not_found',
    'main@9999999-01-01': 'invalid_input',
    'main@0000-01-01T00:00:00Z': 'invalid_input',
    '1@2026-01-01': 'invalid_input',
    'absent@2026-01-01': 'not_found',
    MAIN: 'not_found',
    'refs/heads/main': 'not_found',
  };

  test.each(Object.entries(REFS))('NAME3 %j is %s', async (ref, code) => {
    for (const error of await refusals('ref.resolve', { ref })) expect(error, error.message).toMatchObject({ code });
  });
});

describe('dataset names and other texts that people read', () => {
  test.each(['../x', '..\\x', 'a\0b', 'a\u0007b', '', '   ', 'x'.repeat(10_000), 'a\u202eb'])('NAME2 %j is no name of a dataset', async (name) => {
    for (const error of await refusals('dataset.create', { name })) expect(error.code).toBe('invalid_input');
    for (const error of await refusals('dataset.update', { name })) expect(error.code).toBe('invalid_input');
  });

  const FINE = ["Robert'); DROP TABLE datasets; --", '100 % of "all" <b>data</b> & more', '売上データ 📈', 'a_b%c', '{{sub}} $1 :x ?'];

  test.each(FINE)('NAME2 %j is kept as it is and found by search', async (name) => {
    for (const transport of transports) {
      const made = await transport.run({ operation: 'dataset.create', input: { name, description: name, labels: [name.slice(0, 100)] } });
      expect(made).toMatchObject({ name, description: name, labels: [name.slice(0, 100)] });
      const found = (await transport.run({ operation: 'dataset.list', input: { search: name, limit: 1000 } })) as { items: { name: string }[] };
      expect(new Set(found.items.map((item) => item.name))).toEqual(new Set([name]));
    }
  });

  test('NAME2 signs of patterns in a search mean themselves', async () => {
    for (const search of ['%', '_', '\\', "'"]) {
      const { items } = await alice.dataset.list({ search, limit: 1000 });
      for (const { name } of items) expect(name).toContain(search);
    }
  });

  test('messages keep quotes, SQL and line breaks, and refuse control characters', async () => {
    const message = `It's "done"; DROP TABLE versions; --\n\tsecond line ${'é'.repeat(100)}`;
    const { versionId } = await alice.version.commit({ datasetId, branch: 'side', message }, { body: csv('id', '3') });
    expect((await alice.version.get({ datasetId, versionId })).message).toBe(message);
    for (const text of ['a\0b', 'a\u001bb', 'x'.repeat(10_001)]) {
      for (const error of await refusals('version.commit', { branch: 'side', message: text })) expect(error.code).toBe('invalid_input');
    }
  });

  test('NAME1 a name with a slash, a space or another script works over every transport', async () => {
    for (const [index, transport] of transports.entries()) {
      for (const name of ['feature/a b', 'größe/π', '日本語', 'v1.0-rc+2', 'a%2Fb', '%', '100%']) {
        const branch = `${name}-${index}`;
        await transport.run({ operation: 'branch.create', input: { datasetId, name: branch } });
        expect(await transport.run({ operation: 'ref.pointer', input: { datasetId, name: branch } })).toMatchObject({ name: branch, kind: 'branch' });
        expect(await transport.run({ operation: 'ref.resolve', input: { datasetId, ref: `${branch}~0` } })).toMatchObject({ versionId: 1 });
        await transport.run({ operation: 'version.commit', input: { datasetId, branch }, body: csv('id', name.length.toString()) });
        await transport.run({ operation: 'branch.delete', input: { datasetId, branch } });
      }
    }
  });
});
