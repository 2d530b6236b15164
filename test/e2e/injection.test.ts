import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CovistaError } from '../../protocol/errors.ts';
import { type JsonSchema, jsonSchemaOf } from '../../protocol/json-schema.ts';
import { type OperationName, operationsByName } from '../../protocol/operations/index.ts';
import { present } from '../../server/shared/assert.ts';
import { query } from '../support/inspect.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { type Asked, overRest, overSocket, type Transport } from '../support/transports.ts';
import { askedOf, prepareWorld, type World } from '../support/world.ts';

/** Texts that leave where they are put, if anything lets them. What they would read or make can be told from everything else. */
const PAYLOADS: readonly string[] = [
  '../../../../../../../../etc/passwd',
  '..%2f..%2f..%2f..%2fetc%2fpasswd',
  '/etc/passwd',
  'file:///etc/passwd',
  '..\\..\\..\\etc\\passwd',
  '%00',
  `'; CREATE TABLE zqinjected (a int); --`,
  `"; CREATE TABLE zqinjected (a int); --`,
  `1; CREATE TABLE zqinjected (a int)`,
  `') OR 1=1; SELECT pg_sleep(3600); --`,
  `' || (SELECT pg_sleep(3600)) || '`,
  `' UNION SELECT passwd FROM pg_shadow --`,
  `x" FROM read_csv('/etc/passwd') --`,
  `(SELECT content FROM read_text('/etc/passwd'))`,
  `x') TO '/tmp/zqinjected' (FORMAT csv); --`,
  `COPY (SELECT 1) TO '/tmp/zqinjected'`,
  '$(touch /tmp/zqinjected)',
  '`touch /tmp/zqinjected`',
  '{{sub}}',
  '$1',
  '?',
];

/** What only those could tell who read the file or the table. */
const LOOT = /root:[x*]?:0:0|SCRAM-SHA-256|daemon:/;

let server: TestServer;
let caller: readonly [Transport, Transport];

beforeAll(async () => {
  server = await startTestServer([
    '--uploads-open-per-subject-max',
    '100000',
    '--views-per-subject-max',
    '10000',
    '--tickets-per-subject-max',
    '100000',
    '--revocations-max',
    '100000',
  ]);
  const admin = { admin: true };
  caller = [overRest(server.url, await server.token('owner', admin)), overSocket(await server.client('owner', admin))];
  // The directory of objects comes with the first commit, and these tests come in any order.
  await prepareWorld('version.preview', caller[0]);
});

afterAll(async () => {
  await server?.stop();
});

interface SchemaParts {
  readonly type?: string | string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
}

type Path = readonly (string | number)[];

/** Where an input takes texts, with a way to put one there. */
function textFields(schema: JsonSchema, at: Path = []): Path[] {
  const { type, properties = {}, items, additionalProperties, anyOf = [], oneOf = [], allOf = [] } = schema as SchemaParts;
  const nested = [...anyOf, ...oneOf, ...allOf].flatMap((choice) => textFields(choice, at));
  const fields = Object.entries(properties).flatMap(([name, field]) => textFields(field, [...at, name]));
  const list = items === undefined ? [] : textFields(items, [...at, 0]);
  const map = typeof additionalProperties === 'object' ? textFields(additionalProperties, [...at, 'a']) : [];
  return [...([type].flat().includes('string') ? [at] : []), ...fields, ...list, ...map, ...nested];
}

/** A copy of the input with the text at the path; the name of a field of a map becomes the text too. */
function withText(value: unknown, [step, ...rest]: Path, text: string): unknown {
  if (step === undefined) return text;
  if (typeof step === 'number') return [withText(Array.isArray(value) ? value[0] : undefined, rest, text)];
  const before = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  return { ...before, [step]: withText(before[step], rest, text) };
}

const fieldsOf = (name: OperationName): Path[] => {
  const found = textFields(jsonSchemaOf(present(operationsByName.get(name), name).input, 'input'));
  return [...new Map(found.map((path) => [path.join('.'), path])).values()];
};

const NAMES = [...operationsByName.keys()].filter((name) => fieldsOf(name).length > 0);

test('texts are found where inputs take them', () => {
  expect(fieldsOf('branch.create').map((path) => path.join('.'))).toEqual(['name', 'from']);
  expect(fieldsOf('version.commit').map((path) => path.join('.'))).toEqual(
    expect.arrayContaining(['branch', 'message', 'key.0', 'fileName', 'sha256']),
  );
  expect(NAMES.length).toBeGreaterThan(30);
});

describe.each(NAMES)('%s', (name) => {
  test('REST3 takes a text that reads files, changes statements or runs programs as a text, in every field', async () => {
    const world: World = await prepareWorld(name, caller[0]);
    const tables = () => query(server.databaseUrl, `SELECT relname FROM pg_class WHERE relkind IN ('r', 'S', 'v') ORDER BY relname`);
    const before = [await tables(), await outside()];
    const asked = await askedOf(name, world, caller[0]);
    let turn = 0;
    for (const path of fieldsOf(name)) {
      for (const payload of PAYLOADS) {
        const transport = caller[turn++ % 2] as Transport;
        const input = withText(asked.input, path, payload) as Asked['input'];
        const take = operationsByName.get(name)?.duration === 'endless' ? 0 : asked.take;
        const said = await transport.run({ ...asked, input, take }).then(
          (answer) => ({
            code: undefined,
            text: JSON.stringify(answer, (_key, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value)),
          }),
          (error: CovistaError) => ({ code: error.code, text: `${error.message} ${JSON.stringify(error.details)}` }),
        );
        const what = `${path.join('.')} = ${payload} over ${transport.name}: ${said.text}`;
        expect(said.code, what).not.toBe('internal');
        expect(said.code, what).not.toBe('timeout');
        expect(said.text, what).not.toMatch(LOOT);
      }
    }
    // Who takes the server out of service keeps it there for all that follows.
    if (name === 'admin.maintenance.enter') await caller[0].run({ operation: 'admin.maintenance.leave', input: {} });
    expect([await tables(), await outside()]).toEqual(before);
    expect(existsSync('/tmp/zqinjected')).toBe(false);
  });
});

/** What lies beside the data directory and at its top, where nothing of callers belongs. */
async function outside(): Promise<string[][]> {
  const own = (await readdir(dirname(server.dataDir))).filter((name) => name.includes('passwd') || name.includes('zqinjected'));
  return [own, await readdir(server.dataDir), (await readdir(join(server.dataDir, 'objects'))).sort()];
}
