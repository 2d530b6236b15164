import { once } from 'node:events';
import { WebSocket } from 'ws';
import { encodeFrame, FRAME } from '../../protocol/frame.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import { type Measurement, type Scenario, type ScenarioOptions, sizeOf } from '../measurement.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';
import { bytesOfOne, settledMemory } from '../support/settled.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const AREA = 'connections';
/** Sockets that are opened at once. */
const BATCH = 100;

export const connections: Scenario = {
  name: 'connections',
  area: AREA,
  isCurves: true,
  about: 'resident memory of the server for each idle session on /rpc, and what it keeps once they are gone',
  run: async (options) => {
    const server = await startBenchServer();
    try {
      return await measure(server, options);
    } finally {
      await server.stop();
    }
  },
};

async function measure(server: BenchServer, options: ScenarioOptions): Promise<Measurement[]> {
  const token = server.token('bench');
  // The first sessions pay for code that is compiled and pools that fill.
  await closeAll(await openSessions(server.url, token, sizeOf(options, [10, 50, 100])));
  const before = await settledMemory(server, options);
  const sockets: WebSocket[] = [];
  const together: [number, number][] = [];
  const measurements: Measurement[] = [{ area: AREA, name: 'memory of the server with nothing open', value: before / MiB, unit: 'MiB' }];
  for (const count of sizeOf<readonly number[]>(options, [[50], [100, 500], [500, 1_000, 2_000, 5_000]])) {
    sockets.push(...(await openSessions(server.url, token, count - sockets.length)));
    const bytes = Math.max(0, (await settledMemory(server, options)) - before);
    options.say(`${count} sessions: ${(bytes / MiB).toFixed(1)} MiB`);
    together.push([count, bytes]);
    measurements.push({ area: AREA, name: 'idle sessions, together', value: bytes / MiB, unit: 'MiB', at: { of: 'sessions', value: count } });
  }
  measurements.push({ area: AREA, name: 'idle session', value: bytesOfOne(together) / KiB, unit: 'KiB' });
  await closeAll(sockets);
  const kept = Math.max(0, (await settledMemory(server, options)) - before) / MiB;
  return [...measurements, { area: AREA, name: 'memory kept after all sessions closed', value: kept, unit: 'MiB' }];
}

async function openSessions(url: string, token: string, count: number): Promise<WebSocket[]> {
  const sockets: WebSocket[] = [];
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(BATCH, count - sockets.length) }, () => openSession(url, token));
    sockets.push(...(await Promise.all(batch)));
  }
  return sockets;
}

async function openSession(url: string, token: string): Promise<WebSocket> {
  const socket = new WebSocket(new URL('/rpc', url.replace('http', 'ws')));
  await once(socket, 'open');
  const welcomed = once(socket, 'message');
  socket.send(encodeFrame([FRAME.hello, PROTOCOL_VERSION, token, 'bench']));
  await welcomed;
  return socket;
}

async function closeAll(sockets: readonly WebSocket[]): Promise<void> {
  await Promise.all(
    sockets.map(async (socket) => {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    }),
  );
}
