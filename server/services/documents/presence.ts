import { type Fault, presenceFault } from '../../../protocol/documents/index.ts';
import type { Subject } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { Clock } from '../../shared/clock.ts';
import { type AwarenessEntry, type AwarenessHead, awarenessMessage, decodeAwareness, encodeAwareness } from './messages.ts';

/** Whoever tells presence: as many Yjs clients as there are programs behind one channel. */
export interface Teller {
  readonly subject: Subject;
}

interface State {
  readonly clock: number;
  readonly json: string;
  /** Who told it, also once they left. */
  readonly teller: Teller;
  readonly hasLeft: boolean;
  readonly atMs: number;
}

export interface Told {
  readonly changed: readonly number[];
  /** Who was not there before. */
  readonly arrived: readonly number[];
  /** As they were, on a later clock. */
  readonly renewed: readonly number[];
  readonly fault: Fault | undefined;
}

export type PresenceLimits = Pick<Limits, 'awarenessKeepMs' | 'awarenessClientsMax' | 'awarenessStateBytesMax' | 'documentUpdateBytesMax'>;

const LEFT = 'null';

/**
 * What is told goes in pieces, since clients of y-websocket send each back as one message, which is to be within what a message may
 * have: numbers come back up to five times as long as they were written.
 */
export const pieceBytes = ({ documentUpdateBytesMax }: Pick<Limits, 'documentUpdateBytesMax'>): number => documentUpdateBytesMax / 8;

/**
 * Who is there, by Yjs client id. What somebody tells of themselves replaces what they told before; nobody tells of others:
 * clients of y-websocket send back all that they hear, which is ignored here. Those who left are kept for a while, so that an echo
 * does not bring them back; they count among those of whoever told of them, so that nobody makes others keep any number.
 */
export class Presence {
  readonly #states = new Map<number, State>();
  /** Whose states each told. */
  readonly #toldBy = new Map<Teller, readonly number[]>();
  readonly #limits: PresenceLimits;
  readonly #clock: Clock;

  constructor(limits: PresenceLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Takes what somebody tells; answers with the clients about whom it is news or who only say that they are still there, and with what was refused of it. */
  receive(update: Uint8Array, teller: Teller): Told {
    const changed: number[] = [];
    const arrived: number[] = [];
    const renewed: number[] = [];
    let fault: Fault | undefined;
    let room = this.#limits.awarenessClientsMax - (this.#toldBy.get(teller)?.length ?? 0);
    const isNews = ({ clientId, clock, hasLeft }: AwarenessHead): boolean => {
      const known = this.#states.get(clientId);
      if (known !== undefined) return isLater(known, clock, teller);
      if (hasLeft) return false;
      room -= 1;
      return room >= 0;
    };
    for (const entry of decodeAwareness(update, isNews)) {
      const next = this.#next(entry);
      if (next === undefined) continue;
      const wrong = this.#fault(next.json, teller);
      fault ??= wrong;
      if (wrong !== undefined) continue;
      const known = this.#states.get(entry.clientId);
      this.#set(entry.clientId, { ...next, teller, hasLeft: next.json === LEFT });
      if (next.json !== LEFT && (known === undefined || known.hasLeft)) arrived.push(entry.clientId);
      else (known?.json === next.json ? renewed : changed).push(entry.clientId);
    }
    return { changed, arrived, renewed, fault };
  }

  /** Somebody is gone; answers with the clients that they told of. */
  leave(teller: Teller): number[] {
    return this.#forget((this.#toldBy.get(teller) ?? []).filter((clientId) => this.#states.get(clientId)?.hasLeft === false));
  }

  /** Forgets who did not renew their presence; answers with them. */
  sweep(): number[] {
    const horizonMs = this.#clock.now() - this.#limits.awarenessKeepMs;
    for (const [clientId, { hasLeft, atMs }] of this.#states) if (hasLeft && atMs < horizonMs) this.#delete(clientId);
    return this.#forget([...this.#states].flatMap(([clientId, { hasLeft, atMs }]) => (!hasLeft && atMs < horizonMs ? [clientId] : [])));
  }

  /** All who are there. */
  present(): number[] {
    return [...this.#states].flatMap(([clientId, { hasLeft }]) => (hasLeft ? [] : [clientId]));
  }

  /** What tells of these; nothing where there is nothing to tell. */
  messages(clientIds: Iterable<number>): Uint8Array[] {
    const pieces: AwarenessEntry[][] = [];
    let bytes = Number.POSITIVE_INFINITY;
    for (const clientId of clientIds) {
      const state = this.#states.get(clientId);
      if (state === undefined) continue;
      if (bytes > pieceBytes(this.#limits)) {
        pieces.push([]);
        bytes = 0;
      }
      pieces.at(-1)?.push({ clientId, clock: state.clock, json: state.json });
      bytes += Buffer.byteLength(state.json);
    }
    return pieces.map((entries) => awarenessMessage(encodeAwareness(entries)));
  }

  /** What is to be known of the client now; undefined when that is nothing new. */
  #next({ clientId, clock, json }: AwarenessEntry): Pick<State, 'clock' | 'json'> | undefined {
    const known = this.#states.get(clientId);
    // That somebody left of whom nobody knew is no news.
    if (known === undefined) return json === LEFT ? undefined : { clock, json };
    if (clock > known.clock) return { clock, json };
    if ((json === LEFT) === known.hasLeft) return undefined;
    // They left and are back as they were: nobody would believe that at the clock at which they left. They hear the new one too.
    return json === LEFT ? { clock, json } : { clock: clock + 1, json };
  }

  /** As it was sent, so it is kept and sent on: what is around the values counts too. */
  #fault(json: string, teller: Teller): Fault | undefined {
    const { awarenessStateBytesMax } = this.#limits;
    if (Buffer.byteLength(json) <= awarenessStateBytesMax) return presenceFault(parse(json), teller.subject);
    return { rule: 'DOC9', path: [], message: `must have at most ${awarenessStateBytesMax} bytes as JSON` };
  }

  #set(clientId: number, state: Omit<State, 'atMs'>): void {
    this.#delete(clientId);
    this.#states.set(clientId, { ...state, atMs: this.#clock.now() });
    this.#toldBy.set(state.teller, [...(this.#toldBy.get(state.teller) ?? []), clientId]);
  }

  #delete(clientId: number): void {
    const teller = this.#states.get(clientId)?.teller;
    if (teller === undefined) return;
    this.#states.delete(clientId);
    const left = this.#toldBy.get(teller)?.filter((other) => other !== clientId) ?? [];
    if (left.length > 0) this.#toldBy.set(teller, left);
    else this.#toldBy.delete(teller);
  }

  #forget(clientIds: number[]): number[] {
    for (const clientId of clientIds) {
      // The clock stays as it was: that somebody left is believed at the clock at which they were last heard.
      const { clock, teller } = this.#states.get(clientId) as State;
      this.#set(clientId, { clock, json: LEFT, teller, hasLeft: true });
    }
    return clientIds;
  }
}

/** What is no JSON is as wrong as what is no object. */
function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Whether what is said of a client can be news from this teller. Who comes back on a new connection, missed yet or not, is the same person; nobody else takes their place in between. */
const isLater = (known: State, clock: number, teller: Teller): boolean => clock >= known.clock && known.teller.subject === teller.subject;
