import { setTimeout as delay } from 'node:timers/promises';
import { type Measurement, median, percentile, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import { numberIn, Writer } from '../support/document-edits.ts';
import { type DocumentServer, type OpenDocument, openMany, residentBytesOf, startRivals } from '../support/document-servers.ts';

const MiB = 1024 * 1024;
const AREA = 'stalled readers';
const STALLED = 5;
const HEALTHY = 20;
const EDIT_BYTES = 32 * 1024;
const EDITS_PER_SECOND = 160;

export const documentStalled: Scenario = {
  name: 'document-stalled',
  area: AREA,
  about: `${STALLED} readers of a document that stop reading while edits come past that are 40 MB together, and what the other ${HEALTHY} notice of it, against @y/websocket-server and @hocuspocus/server`,
  run: async (options) => {
    // A writer may make 4 MiB of edits a second; here they come faster.
    const { covista, peers, stop } = await startRivals(1, { COVISTA_DOCUMENT_UPDATE_BYTES_PER_SECOND: String(64 * MiB) });
    try {
      const measurements: Measurement[] = [];
      for (const server of [covista, ...peers]) measurements.push(...(await measure(server, server === covista, options)));
      return measurements;
    } finally {
      await stop();
    }
  },
};

async function measure(server: DocumentServer, isOurs: boolean, options: ScenarioOptions): Promise<Measurement[]> {
  const edits = sizeOf(options, [20, 80, 1_280]);
  const [growth, alone, beside]: [number[], number[], number[]] = [[], [], []];
  const [writer, ...healthy] = (await openMany(server, new Array<number>(HEALTHY + 1).fill(1))) as [OpenDocument, ...OpenDocument[]];
  const author = new Writer('bench');
  writer.send(author.begin());
  // Once for nothing, so that what the edits themselves take is there already.
  await pour({ writer, healthy, author, edits: edits / 4 });
  for (let run = 0; run < sizeOf(options, [1, 1, isOurs ? 2 : 1]); run += 1) {
    alone.push(await pour({ writer, healthy, author, edits }));
    await delay(sizeOf(options, [50, 200, 1_500]));
    const before = residentBytesOf(server.pid);
    const stalled = await openMany(server, new Array<number>(STALLED).fill(1));
    for (const { socket } of stalled) socket.stall();
    let most = 0;
    const look = setInterval(() => {
      most = Math.max(most, residentBytesOf(server.pid));
    }, 20);
    try {
      beside.push(await pour({ writer, healthy, author, edits }));
    } finally {
      clearInterval(look);
    }
    await delay(sizeOf(options, [50, 200, 1_500]));
    growth.push(Math.max(0, residentBytesOf(server.pid) - before) / MiB);
    options.say(
      `${server.name}: ${growth.at(-1)?.toFixed(1)} MiB more, ${((most - before) / MiB).toFixed(0)} at most; p99 of healthy readers ${beside.at(-1)?.toFixed(1)} ms, ${alone.at(-1)?.toFixed(1)} without`,
    );
    for (const { socket } of stalled) socket.close();
    await delay(sizeOf(options, [50, 200, 1_000]));
  }
  for (const { socket } of [writer, ...healthy]) socket.close();
  const grown: Measurement = {
    area: AREA,
    name: `${server.name}: growth by ${STALLED} readers who stopped reading`,
    unit: 'MiB',
    ...summaryOf(growth),
  };
  const slowed: Measurement = {
    ...{
      area: AREA,
      name: `${server.name}: p99 of healthy readers beside them / alone`,
      unit: 'ratio',
      ...summaryOf(beside.map((timeMs) => timeMs / median(alone))),
    },
  };
  return isOurs
    ? [
        { ...grown, limit: 8, bound: 'at most' },
        { ...slowed, limit: 1.1, bound: 'at most' },
      ]
    : [grown, slowed].map((figure) => ({ ...figure, better: 'neither' }));
}

interface Pouring {
  readonly writer: OpenDocument;
  readonly healthy: readonly OpenDocument[];
  readonly author: Writer;
  readonly edits: number;
}

const PATIENCE_MS = 30_000;

/** The p99 of what healthy readers wait for edits, in milliseconds. */
async function pour({ writer, healthy, author, edits }: Pouring): Promise<number> {
  const sentAt: number[] = [];
  const times: number[] = [];
  let missing = edits * healthy.length;
  const { promise: done, resolve } = Promise.withResolvers<void>();
  for (const { socket } of healthy) {
    let next = 0;
    socket.onMessage = (payload) => {
      for (const newest = numberIn(payload) ?? -1; next <= newest; next += 1) {
        times.push(performance.now() - (sentAt[next] ?? Number.NaN));
        missing -= 1;
      }
      if (missing === 0) resolve();
    };
  }
  const startMs = performance.now();
  for (let number = 0; number < edits; number += 1) {
    const waitMs = startMs + (number * 1000) / EDITS_PER_SECOND - performance.now();
    if (waitMs > 0) await delay(waitMs);
    const bytes = author.configure(number, EDIT_BYTES);
    sentAt[number] = performance.now();
    writer.send(bytes);
  }
  await Promise.race([done, delay(PATIENCE_MS, undefined, { ref: false })]);
  if (missing > 0) throw new Error(`${missing} of ${edits * healthy.length} deliveries never came`);
  return percentile(times, 0.99);
}
