import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERRORS } from '../../protocol/errors.ts';
import { type OperationName, operationsByName } from '../../protocol/operations/index.ts';
import { ANONYMOUS } from '../../server/gateway/call.ts';
import { present } from '../../server/shared/assert.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { type Asked, inProcess, overRest, overSocket, type Transport } from '../support/transports.ts';
import { askedOf, NEEDS, prepareWorld, takeBack } from '../support/world.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer([]);
});

afterAll(async () => {
  await server?.stop();
});

const NAMES = [...operationsByName.keys()];

/** Each transport has a caller of its own, so that none finds what another made. */
async function transports(operation: OperationName): Promise<readonly Transport[]> {
  const caller = (name: string): string => `${name}-${operation}`;
  const { permission, http } = present(operationsByName.get(operation), operation);
  const admin = permission.action === 'server-admin';
  return [
    overSocket(await server.client(caller('socket'), { admin })),
    ...(http === undefined ? [] : [overRest(server.url, await server.token(caller('rest'), { admin }))]),
    inProcess(server.gateway, { ...ANONYMOUS, subject: caller('inside'), serverAdmin: admin }),
  ];
}

test('every operation of the registry has an entry, and no entry is left over', () => {
  expect(Object.keys(NEEDS).sort()).toEqual([...NAMES].sort());
});

describe.each(NAMES)('the example of %s', (name) => {
  const operation = present(operationsByName.get(name), name);

  test('answers the same, and what its schema says, on every transport', async () => {
    const answers: unknown[] = [];
    for (const transport of await transports(name)) {
      const world = await prepareWorld(name, transport);
      const asked = await askedOf(name, world, transport);
      const { answers: code } = NEEDS[name];
      if (code !== undefined) {
        await expect(transport.run(asked), transport.name).rejects.toMatchObject({ code });
        continue;
      }
      const answer = await transport.run(asked);
      await takeBack(name, server.gateway);
      if (operation.http?.response !== 'file') for (const value of operation.kind === 'stream' ? (answer as unknown[]) : [answer]) declared(value);
      answers.push(normalize(answer, asked, name));
    }
    const [first, ...others] = answers;
    for (const other of others) expect(other).toEqual(first);
  });

  test('is refused alike on every transport when it has a field too many', async () => {
    for (const transport of await transports(name)) {
      const input = { ...(operation.example.input as Asked['input']), surplus: 1 };
      const refusal = await transport.run({ operation: name, input, take: NEEDS[name].take }).catch((error: unknown) => error);
      expect(refusal, transport.name).toMatchObject({ code: 'invalid_input', message: expect.stringContaining('surplus') });
    }
  });

  test('declares only errors that exist', () => {
    for (const code of operation.errors) expect(ERRORS).toHaveProperty(code);
  });

  /** The schema takes the value, and the value has nothing that the schema does not declare. */
  function declared(value: unknown): void {
    const parsed = operation.output.safeParse(value);
    expect(parsed.error, JSON.stringify(value)).toBeUndefined();
    expect(parsed.data).toEqual(value);
  }
});

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const REPLACED = new Set([
  'datasetId',
  'documentId',
  'snapshotId',
  'scheduleId',
  'runId',
  'grantId',
  'uploadId',
  'requestId',
  'address',
  'objectKey',
  'ticket',
  'tableId',
  'viewId',
  'loadTimeMs',
  'savedTables',
  'preloading',
]);
/** What alerts say of a server at work, on which the other tests work too. */
const MEASURED = new Set(['value', 'detail', 'state', 'since', 'fired', 'recent']);

/** An answer without what differs between any two calls: ids of the whole server, times, names of callers. */
function normalize(value: unknown, asked: Asked, name: OperationName): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value === 'string') return INSTANT.test(value) ? '<time>' : value.replace(/^(user:)?(socket|rest|inside)-/, '$1<caller>-');
  if (Array.isArray(value)) return value.map((item) => normalize(item, asked, name));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([field, nested]) => {
      if (REPLACED.has(field) || (name === 'admin.alerts' && MEASURED.has(field)) || (field === 'etag' && name === 'view.export'))
        return [field, `<${field}>`];
      // Numbers of events count per dataset, those of logs for the whole server.
      if (field === 'sequence' && name !== 'dataset.watch') return [field, '<sequence>'];
      return [field, normalize(nested, asked, name)];
    }),
  );
}
