import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import fc from 'fast-check';
import { type ClientFrame, encodeFrame, FRAME } from '../../protocol/frame.ts';
import { operationsByName } from '../../protocol/operations/index.ts';
import { mutate } from './mutate.ts';

/** The example of an operation, on a dataset that every other operation can rely on to be there. */
function exampleOn(name: string, example: unknown, datasetId: number): Record<string, unknown> {
  const input = { ...(example as Record<string, unknown>) };
  if ('datasetId' in input) input.datasetId = name === 'dataset.delete' ? 2_000_000_000 : datasetId;
  return input;
}

/** Frames of a session as a client sends them: every operation with its example, and what goes with requests. */
export function sessionFrames(datasetId: number): ClientFrame[] {
  const requests = [...operationsByName].map(([name, operation], index): ClientFrame => {
    const input = exampleOn(name, operation.example.input, datasetId);
    return [FRAME.request, index + 1, name, input, operation.kind === 'command' ? `key-${index}` : null, operation.body !== undefined];
  });
  return [
    ...requests,
    [FRAME.body, 3, new Uint8Array(20), false],
    [FRAME.body, 3, new Uint8Array(20), true],
    [FRAME.credit, 3, 100],
    [FRAME.cancel, 3],
    [FRAME.fragment, 5, new Uint8Array(20), true],
    [FRAME.fragment, 5, new Uint8Array(encodeFrame([FRAME.cancel, 3])), false],
    [FRAME.channel, 4, new Uint8Array(30)],
    [FRAME.refresh, 'token'],
    [FRAME.goodbye, 'bye', 0],
  ];
}

/** Values that stand for others where a program did not think of them. */
const ODD: readonly unknown[] = [
  ...[null, true, -1, 0, 1.5, 2 ** 31, 2 ** 53, -(2 ** 63), Number.NaN, Number.POSITIVE_INFINITY, 2n ** 63n - 1n],
  ...['', ' ', '\0', '\ud800', '💥', '__proto__', 'constructor', 'x'.repeat(5_000), '9'.repeat(400), '../..', '\u202e'],
  ...[[], {}, [[]], [null], { __proto__: null, a: {} }, new Uint8Array(3), Array.from({ length: 2_000 }, () => 0)],
];

/** Damaged frames, the same for a seed: half of them in their bytes, half in a field of their input. */
export function damagedFrames(frames: readonly ClientFrame[], { seed, count }: { readonly seed: number; readonly count: number }): Uint8Array[] {
  const odd = fc.oneof(fc.constantFrom(...ODD), fc.jsonValue({ maxDepth: 3 }));
  const drawn = fc.tuple(fc.constantFrom(...frames), fc.infiniteStream(fc.nat()), fc.boolean(), odd);
  return fc.sample(drawn, { seed, numRuns: count }).map(([frame, choices, inBytes, value]) => {
    if (inBytes || frame[0] !== FRAME.request) return mutate(new Uint8Array(encodeFrame(frame)), choices);
    return new Uint8Array(encodeFrame([frame[0], frame[1], frame[2], withOddField(frame[3], choices, value), frame[4], frame[5]]));
  });
}

function withOddField(input: unknown, choices: Iterator<number>, value: unknown): unknown {
  const fields = Object.keys(input as object);
  const chosen = (choices.next().value as number) % (fields.length + 1);
  const name = fields[chosen];
  return name === undefined ? value : { ...(input as object), [name]: value };
}

/** Requests as bytes: every route with its example. */
export function httpRequests(token: string, datasetId: number): Uint8Array[] {
  const lines = [...operationsByName].flatMap(([name, { http, example, body, input: declared }]) => {
    if (http === undefined) return [];
    const input = exampleOn(name, example.input, datasetId);
    const path = http.path.replace(/\{(\w+)\}/g, (_, field: string) => encodeURIComponent(String(input[field])));
    const hasJson = body === undefined && ['POST', 'PUT', 'PATCH'].includes(http.method);
    const fields = Object.fromEntries(Object.entries(input).filter(([field]) => !http.path.includes(`{${field}}`)));
    const content = hasJson ? JSON.stringify(fields) : body === undefined ? '' : 'a,b\n1,2\n';
    const headers = [
      'host: localhost',
      `authorization: Bearer ${token}`,
      'connection: close',
      'accept-encoding: gzip;q=0.5, identity',
      'range: bytes=0-10',
      'if-none-match: "x"',
      ...(content === '' ? [] : [`content-type: ${hasJson ? 'application/json' : 'text/csv'}`, `content-length: ${content.length}`]),
      ...(http.method === 'GET' ? [] : ['idempotency-key: abc']),
    ];
    return [`${http.method} ${path}${'limit' in declared.shape && !hasJson ? '?limit=2' : ''} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${content}`];
  });
  return ['GET /healthz', 'GET /openapi.json', 'OPTIONS /api/datasets', 'GET /']
    .map((line) => `${line} HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\nconnection: close\r\n\r\n`)
    .concat(lines)
    .map((text) => new TextEncoder().encode(text));
}

/** Damaged requests, the same for a seed: in all of their bytes, in their first line, or in their body alone. */
export function damagedRequests(requests: readonly Uint8Array[], { seed, count }: { readonly seed: number; readonly count: number }): Uint8Array[] {
  const samples = fc.sample(fc.tuple(fc.constantFrom(...requests), fc.infiniteStream(fc.nat()), fc.nat(2)), { seed, numRuns: count });
  return samples.map(([request, choices, part]) => {
    if (part === 0) return mutate(request, choices);
    const [line = '', ...rest] = Buffer.from(request).toString('latin1').split('\r\n');
    if (part === 1) return Buffer.concat([mutate(Buffer.from(line, 'latin1'), choices), Buffer.from(`\r\n${rest.join('\r\n')}`, 'latin1')]);
    const body = mutate(Buffer.from(rest.at(-1) ?? '', 'latin1'), choices);
    const headers = rest.slice(0, -1).map((header) => header.replace(/^content-length: .*/, `content-length: ${body.length}`));
    return Buffer.concat([Buffer.from(`${[line, ...headers].join('\r\n')}\r\n`, 'latin1'), body]);
  });
}

/** How long a response may pause before it is taken for whole. */
const PAUSE_MS = 20;

/** Sends bytes on a connection of its own; answers what came, or nothing where the server waits for more. */
export function exchange(port: number, bytes: Uint8Array, waitMs: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let answer = '';
    socket.setTimeout(waitMs, () => socket.destroy());
    socket.on('data', (chunk) => {
      socket.setTimeout(PAUSE_MS);
      if (answer.length < 10_000) answer += chunk.toString('latin1');
    });
    // A server that closes a connection which still sends may reset it.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(answer));
    socket.write(bytes);
  });
}

/** Works through a list with some at once. */
export async function eachAtOnce<T>(list: readonly T[], atOnce: number, work: (next: () => T | undefined) => Promise<void>): Promise<void> {
  const left = [...list];
  await Promise.all(Array.from({ length: atOnce }, () => work(() => left.pop())));
}

/** What a process takes of the machine's memory. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}
