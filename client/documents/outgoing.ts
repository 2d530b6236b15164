import * as Y from 'yjs';
import { Paced } from './paced.ts';
import { type Bounds, joined, MESSAGE, portions, structsOf } from './portions.ts';
import { differenceMessage, updateMessage } from './wire.ts';

/** Those that are joined early leave room, so that messages are filled well. */
const JOINED: Bounds = { bytesMax: MESSAGE.bytesMax / 4, structsMax: MESSAGE.structsMax / 4 };
/** So many edits are joined to fewer, so that a long time without a connection costs little. */
const UPDATES_MAX = 1_000;

/** The edits of this client on their way to the server. */
export class Outgoing {
  readonly #send: (messages: readonly Uint8Array[]) => void;
  readonly #pace: Paced;
  /** Edits that wait to be sent together. */
  #gathered: Uint8Array[] = [];
  /** Edits that the server may lack, in order: together they may be more than a message takes. */
  #unsettled: Uint8Array[] = [];
  #isHeld = false;
  /** What was noted and gathered since `hold`, which is to be one edit. */
  #held: Record<'noted' | 'gathered', Uint8Array[]> = { noted: [], gathered: [] };

  constructor(intervalMs: number, send: (messages: readonly Uint8Array[]) => void) {
    this.#send = send;
    this.#pace = new Paced(intervalMs, () => this.flush());
  }

  /** An edit was made, or may have been made before this client was started. */
  note(update: Uint8Array): void {
    (this.#isHeld ? this.#held.noted : this.#unsettled).push(update);
    if (this.#unsettled.length > UPDATES_MAX) this.#unsettled = portions(this.#unsettled, JOINED);
  }

  /** The server has every edit. */
  settled(): void {
    this.#unsettled = [];
  }

  gather(update: Uint8Array): void {
    (this.#isHeld ? this.#held.gathered : this.#gathered).push(update);
    this.#pace.ask();
  }

  /** What is noted and gathered until `release` stays together. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    const { noted, gathered } = this.#held;
    this.#held = { noted: [], gathered: [] };
    if (noted.length > 0) this.note(joined(noted));
    if (gathered.length > 0) this.gather(joined(gathered));
  }

  flush(): void {
    if (this.#isHeld || this.#gathered.length === 0) return;
    const updates = portions(this.#gathered);
    this.#gathered = [];
    this.#send(updates.map(updateMessage));
  }

  /** Forgets what is gathered. */
  clear(): void {
    this.#gathered = [];
    this.#held.gathered = [];
    this.#pace.stop();
  }

  /**
   * Messages that carry all that a server of this state lacks: one, or where that would be too large, the edits in order in as many
   * as it takes.
   */
  difference(doc: Y.Doc, stateVector: Uint8Array): Uint8Array[] {
    const update = Y.encodeStateAsUpdate(doc, stateVector);
    const whole = differenceMessage(update);
    const fits = whole.length <= MESSAGE.bytesMax && structsOf(update) <= MESSAGE.structsMax;
    if (fits || this.#unsettled.length < 2) return [whole];
    const lacking = this.#unsettled.map((edit) => Y.diffUpdate(edit, stateVector));
    const [first, ...rest] = portions(lacking);
    return first === undefined ? [whole] : [differenceMessage(first), ...rest.map(updateMessage)];
  }
}
