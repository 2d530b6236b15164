import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
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
