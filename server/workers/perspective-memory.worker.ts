import { parentPort, workerData } from 'node:worker_threads';
import { CovistaError, errorBody } from '../../protocol/errors.ts';
import { present } from '../shared/assert.ts';
import { PerspectiveEngine } from './perspective-engine.ts';
import type { FromMemory, MemorySettings, ToMemory } from './perspective-memory.protocol.ts';
import { PerspectiveSessions } from './perspective-sessions.ts';
import { SessionTurns } from './session-turns.ts';

const port = present(parentPort, 'the port of the thread that started this one');
const { PerspectiveServer } = await import('@perspective-dev/client/node');
// The package ends the process on Ctrl-C, which is for the server to decide.
process.removeAllListeners('SIGINT');
const sessions = new PerspectiveSessions(new PerspectiveEngine(new PerspectiveServer()), workerData as MemorySettings);

/** Bytes whose memory is theirs alone are transferred; what is encoded here lies in memory that others share. */
function post(message: FromMemory, bytes: readonly Uint8Array[] = []): void {
  const own = bytes.filter(({ buffer, byteLength }) => buffer.byteLength === byteLength);
  port.postMessage(
    message,
    own.map(({ buffer }) => buffer as ArrayBuffer),
  );
}

function load({ load: number, table, pieces, bytes }: ToMemory & { kind: 'load' }): void {
  try {
    const loaded = sessions.load(table, pieces, bytes);
    post({ kind: 'loaded', load: number, memory: sessions.memory, ...loaded });
  } catch (fault) {
    if (!(fault instanceof CovistaError)) throw fault;
    post({ kind: 'refused', load: number, memory: sessions.memory, error: errorBody(fault) });
  }
}

/** To ask the engine takes up to a millisecond, too long for every request. */
const MEMORY_DELAY_MS = 500;
let isMemoryDue = false;

function tellMemorySoon(): void {
  if (isMemoryDue) return;
  isMemoryDue = true;
  setTimeout(() => {
    isMemoryDue = false;
    post({ kind: 'memory', memory: sessions.memory });
  }, MEMORY_DELAY_MS);
}

/** How long requests are done in one go before the thread hears what it is told meanwhile. */
const TURN_MS = 5;

const turns = new SessionTurns<Uint8Array>(TURN_MS, (session, bytes) => {
  const responses = sessions.handle(session, bytes);
  tellMemorySoon();
  post(
    { kind: 'answered', session, responses },
    responses.map((response) => response.bytes),
  );
});

port.on('message', (message: ToMemory) => {
  switch (message.kind) {
    case 'load':
      load(message);
      break;
    case 'free':
      sessions.free(message.table);
      post({ kind: 'freed', memory: sessions.memory });
      break;
    case 'open':
      sessions.open(message.session);
      turns.open(message.session, message.table);
      break;
    case 'request':
      turns.add(message.session, message.bytes);
      break;
    case 'close':
      turns.close(message.session);
      post({ kind: 'closed', session: message.session, held: sessions.close(message.session) });
      tellMemorySoon();
      break;
  }
});
post({ kind: 'ready' });
