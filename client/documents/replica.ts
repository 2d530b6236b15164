import { Awareness, applyAwarenessUpdate, removeAwarenessStates } from 'y-protocols/awareness';
import * as Y from 'yjs';

/** The origin of everything that is not this client's own: what came from the server, or from what is kept. */
export const REMOTE = Symbol('remote');
export const KEPT = Symbol('kept');

export interface ReplicaEvents {
  /** The document changed; by this client unless the origin is one of the above. */
  updated(update: Uint8Array, origin: unknown): void;
  /** The awareness state of this client changed. */
  presented(): void;
}

/** One copy of a document with its awareness. A copy that cannot be synced any more is replaced by another. */
export class Replica {
  readonly doc = new Y.Doc();
  readonly awareness = new Awareness(this.doc);
  /** What this client did itself, step by step: with no origin or with this copy as the origin. */
  readonly undo = new Y.UndoManager(this.doc, { trackedOrigins: new Set([null, this]) });

  /** The maps of a document are there from the beginning, empty where nobody has put anything in. */
  constructor(maps: readonly string[], events: ReplicaEvents) {
    for (const map of maps) this.doc.getMap(map);
    this.doc.on('update', (update: Uint8Array, origin: unknown) => events.updated(update, origin));
    this.awareness.on('update', (_changes: unknown, origin: unknown) => {
      if (origin !== REMOTE) events.presented();
    });
  }

  /** A change of this client that is one step of undo. */
  edit<Result>(change: () => Result): Result {
    this.undo.stopCapturing();
    const result = this.doc.transact(change, this);
    this.undo.stopCapturing();
    return result;
  }

  apply(update: Uint8Array, origin: typeof REMOTE | typeof KEPT = REMOTE): void {
    Y.applyUpdate(this.doc, update, origin);
  }

  applyAwareness(update: Uint8Array): void {
    applyAwarenessUpdate(this.awareness, update, REMOTE);
  }

  /**
   * Nobody else is known to be here any more. Their clocks are forgotten too: when they are told of anew, it is with the same
   * clock, which would count as known.
   */
  forgetOthers(): void {
    const others = [...this.awareness.getStates().keys()].filter((clientId) => clientId !== this.doc.clientID);
    removeAwarenessStates(this.awareness, others, REMOTE);
    for (const clientId of others) this.awareness.meta.delete(clientId);
  }

  destroy(): void {
    this.undo.destroy();
    this.awareness.destroy();
    this.doc.destroy();
  }
}
