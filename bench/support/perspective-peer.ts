import { once } from 'node:events';
import { join } from 'node:path';
import { firstLine } from './load.ts';
import { type LoopDelay, loopDelay, memoryOf, resetPeak, spawnWatched } from './watched.ts';

/** Perspective's own `WebSocketServer` with tables in it, in a process of its own. */
export interface PerspectivePeer {
  /** Where its tables are, by their names. */
  readonly url: string;
  memory(): { readonly now: number; readonly peak: number };
  resetPeak(): void;
  loopDelay(): Promise<LoopDelay>;
  stop(): Promise<void>;
}

/** Tables by name, each a file of Arrow. */
export async function startPerspectivePeer(tables: Readonly<Record<string, string>>): Promise<PerspectivePeer> {
  const files = Object.entries(tables).map(([name, path]) => `${name}=${path}`);
  const child = spawnWatched([join(import.meta.dirname, '../peers/perspective.ts'), ...files]);
  const { host } = new URL(await firstLine(child));
  child.stdout?.resume();
  const pid = child.pid as number;
  return {
    url: `ws://${host}/websocket`,
    memory: () => memoryOf(pid),
    resetPeak: () => resetPeak(pid),
    loopDelay: () => loopDelay(child),
    stop: async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}
