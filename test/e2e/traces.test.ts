import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { prepareProcessServer } from '../support/process-server.ts';
import { startTestServer } from '../support/server.ts';

test('OPS15 with an endpoint, operations are told as spans, without who asked and with what', async () => {
  const bodies: string[] = [];
  const collector = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    bodies.push(Buffer.concat(chunks).toString('utf8'));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const server = await startTestServer(['--trace-endpoint', `http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/traces`]);
  const alice = await server.rest('alice-of-accounting');
  const { body } = await alice.post('/api/datasets', { name: 'Salaries of everybody' });
  expect((await alice.get('/api/datasets/999999')).status).toBe(404);
  await server.stop();
  const told = bodies.join('\n');
  expect(told).toContain('dataset.create');
  expect(told).toContain('dataset.get');
  expect(told).toContain('covista.request_id');
  expect(told).toContain('not_found');
  expect(body).toMatchObject({ name: 'Salaries of everybody' });
  expect(told).not.toContain('alice-of-accounting');
  expect(told).not.toContain('Salaries');
  collector.close();
});

/** Tells standard error of every module of OpenTelemetry that is loaded, in whichever thread. */
const TELLING = `import { registerHooks } from 'node:module';
import { writeSync } from 'node:fs';
registerHooks({ load: (url, context, next) => {
  const name = /@opentelemetry\\/([^/]+)/.exec(url)?.[1];
  if (name !== undefined) writeSync(2, 'loaded ' + name + '\\n');
  return next(url, context);
} });`;

test.each([
  ['without an endpoint nothing of OpenTelemetry is loaded but its API', [], ['api']],
  ['with one its SDK is', ['--trace-endpoint', 'http://127.0.0.1:9/v1/traces'], ['api', 'exporter-trace-otlp-http', 'resources', 'sdk-trace']],
] as const)('OPS15 %s', async (_, flags, expected) => {
  const server = await prepareProcessServer({
    flags,
    environment: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(TELLING)}` },
  });
  try {
    const run = await server.start();
    expect((await (await server.rest('alice')).post('/api/datasets', { name: 'Orders' })).status).toBe(201);
    const loaded = new Set([...run.log().matchAll(/^loaded (.+)$/gm)].map(([, name]) => name));
    expect([...loaded]).toEqual(expect.arrayContaining([...expected]));
    if (flags.length === 0) expect([...loaded]).toEqual(expected);
  } finally {
    await server.dispose();
  }
});
