import { createServer, type IncomingHttpHeaders } from 'node:http';
import { expect } from 'vitest';
import type { Client } from '../../client/index.ts';
import { query } from './inspect.ts';
import { freePort } from './process-server.ts';

/** Lets the time of a schedule come now, as the clock would. */
export async function comeDue(databaseUrl: string, scheduleId: number): Promise<void> {
  await query(databaseUrl, `UPDATE schedules SET next_at = date_trunc('milliseconds', now()) WHERE schedule_id = $1`, [scheduleId]);
  await query(databaseUrl, `SELECT FROM covista_jobs.add_job('schedule', json_build_object('id', $1::int), job_key => 'schedule:' || $1)`, [
    scheduleId,
  ]);
}

type Runs = Awaited<ReturnType<Client['schedule']['runs']>>['items'];

export async function runsOf(client: Client, at: { datasetId: number; scheduleId: number }): Promise<Runs> {
  return (await client.schedule.runs(at)).items;
}

/** The newest run, once it is in a state. */
export async function runIn(client: Client, at: { datasetId: number; scheduleId: number }, state: Runs[number]['state']): Promise<Runs[number]> {
  const newest = async () => (await runsOf(client, at))[0];
  await expect.poll(async () => (await newest())?.state, { timeout: 30_000, interval: 50 }).toBe(state);
  return (await newest()) as Runs[number];
}

export const DIRECTORY = { kind: 'directory', directory: 'reports' } as const;
export const YEARLY = { cron: '0 0 1 1 *', format: 'csv', destination: DIRECTORY } as const;

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Receiver {
  readonly url: string;
  readonly received: readonly Received[];
  /** What it answers, one after the other; the last one for good. */
  answers: number[];
  /** It answers when this is settled. */
  answering: Promise<unknown>;
  close(): Promise<void>;
}

/** A receiver of webhooks on the loopback interface. */
export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const port = await freePort();
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}`,
    received,
    answers: [204],
    answering: Promise.resolve(),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      received.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) });
      await receiver.answering;
      const status = receiver.answers.length > 1 ? receiver.answers.shift() : receiver.answers[0];
      response.writeHead(status ?? 500, status === 302 ? { location: '/elsewhere' } : {}).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return receiver;
}
