import { setTimeout as delay } from 'node:timers/promises';
import { type Measurement, percentile, type Scenario, type ScenarioOptions, sizeOf } from '../measurement.ts';
import { cursorMessage, numbersIn } from '../support/document-edits.ts';
import { covistaOf, createDatasets, type OpenDocument, openMany } from '../support/document-servers.ts';
import { startBenchServer } from '../support/server.ts';
import { cpuSecondsOf } from '../support/watched.ts';

const AREA = 'cursors';
const MOVES_PER_SECOND = 10;
/** Whoever sends so much slower than was meant asks less of the server. */
const BEHIND_MAX = 1.1;
const BEHIND_SECONDS = 1;

export const documentCursors: Scenario = {
  name: 'document-cursors',
  area: AREA,
  about: `people in one document who move their cursors ${MOVES_PER_SECOND} times a second, and what each of them gets of it`,
  run: async (options) => {
    const server = await startBenchServer();
    try {
      await createDatasets(server, 1);
      const measurements: Measurement[] = [];
      for (const people of sizeOf<readonly number[]>(options, [[5], [500], [50, 200, 500]])) {
        const crowd = await openMany(covistaOf(server), new Array<number>(people).fill(1));
        measurements.push(...(await move({ crowd, pid: server.pid, options })));
        for (const { socket } of crowd) socket.close();
        await delay(200);
      }
      return measurements;
    } finally {
      await server.stop();
    }
  },
};

interface Moving {
  readonly crowd: readonly OpenDocument[];
  readonly pid: number;
  readonly options: ScenarioOptions;
}

async function move({ crowd, pid, options }: Moving): Promise<Measurement[]> {
  const seconds = sizeOf(options, [0.5, 2, 6]);
  const sentAt: number[] = [];
  const times: number[] = [];
  // One reader is asked when a cursor reaches it, since reading every cursor of every reader is more work than sending them.
  const watched = crowd[0] as OpenDocument;
  watched.socket.onMessage = (payload) => {
    for (const sent of numbersIn(payload)) {
      const at = sentAt[sent];
      // Those of the crowd before, who have just left, are not of this one.
      if (at !== undefined) times.push(performance.now() - at);
    }
  };
  const before = crowd.map(({ socket }) => socket.messages);
  const cpuBefore = cpuSecondsOf(pid);
  const startMs = performance.now();
  let number = 0;
  for (let round = 0; round < seconds * MOVES_PER_SECOND; round += 1) {
    // People do not move at the same moment.
    for (const [index, document] of crowd.entries()) {
      const waitMs = startMs + (1000 / MOVES_PER_SECOND) * (round + index / crowd.length) - performance.now();
      if (waitMs > 0) await delay(waitMs);
      sentAt[number] = performance.now();
      document.send(cursorMessage(index + 1, number++));
    }
  }
  const tookSeconds = (performance.now() - startMs) / 1000;
  if (tookSeconds > seconds * BEHIND_MAX + BEHIND_SECONDS) throw new Error(`moves of ${seconds} s took ${tookSeconds.toFixed(1)} s to send`);
  const frames = crowd.map(({ socket }, index) => (socket.messages - (before[index] ?? 0)) / tookSeconds);
  const cpu = (cpuSecondsOf(pid) - cpuBefore) / tookSeconds;
  if (crowd.some(({ socket }) => socket.isOver)) throw new Error('the server gave somebody up');
  options.say(`${crowd.length} people: ${Math.max(...frames).toFixed(1)} frames a second at most, ${(100 * cpu).toFixed(0)} % of a core`);
  const at = { of: 'people', value: crowd.length };
  return [
    ...(crowd.length >= 500 || options.smoke
      ? [
          {
            area: AREA,
            name: `most frames a second for one of ${crowd.length} people`,
            unit: 'per second' as const,
            value: Math.max(...frames),
            limit: 20,
            bound: 'at most' as const,
          },
        ]
      : []),
    { area: AREA, name: 'frames for each person', unit: 'per second', value: percentile(frames, 0.5), better: 'lower', at },
    { area: AREA, name: 'cursor to another screen, median', unit: 'ms', value: percentile(times, 0.5), at },
    { area: AREA, name: 'CPU of the server, in cores', unit: 'ratio', value: cpu, at },
  ];
}
