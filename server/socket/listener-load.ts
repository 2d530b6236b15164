import type { Door, DoorKind } from './connection.ts';

/** What is open on the port. */
export interface ListenerLoad {
  readonly sockets: Readonly<Record<DoorKind, number>>;
  /** Sockets that have not been let in yet. */
  readonly awaiting: number;
  /** HTTP requests that are being answered. */
  readonly http: number;
  /** Bytes that wait to be sent, of all sockets and of the one for which most wait. */
  readonly outboxBytes: number;
  readonly outboxBytesLargest: number;
}

export function loadOf(doors: Iterable<Door>, { http, awaiting }: Pick<ListenerLoad, 'http' | 'awaiting'>): ListenerLoad {
  const sockets = { rpc: 0, perspective: 0, documents: 0 };
  let outboxBytes = 0;
  let outboxBytesLargest = 0;
  for (const { kind, queuedBytes } of doors) {
    sockets[kind] += 1;
    outboxBytes += queuedBytes;
    outboxBytesLargest = Math.max(outboxBytesLargest, queuedBytes);
  }
  return { sockets, http, awaiting, outboxBytes, outboxBytesLargest };
}
