import { createEncoder, toUint8Array, writeVarString, writeVarUint, writeVarUint8Array } from 'lib0/encoding';
import * as Y from 'yjs';

/** Edits and presence that carry a number by which a reader knows them again without decoding anything. */

const MARK = '@@';
const DIGITS = 8;
const AT = '2026-01-01T00:00:00.000Z';

/** The newest number in a message, which may carry several; undefined where it has none. */
export function numberIn(payload: Buffer): number | undefined {
  const at = payload.lastIndexOf(MARK);
  return at < 0 ? undefined : numberAt(payload, at);
}

/** All numbers in a message, as of presence that carries everybody who moved. */
export function* numbersIn(payload: Buffer): Generator<number> {
  for (let at = payload.indexOf(MARK); at >= 0; at = payload.indexOf(MARK, at + MARK.length)) yield numberAt(payload, at);
}

const numberAt = (payload: Buffer, at: number): number => Number(payload.toString('latin1', at + MARK.length, at + MARK.length + DIGITS));

const marked = (number: number): string => MARK + String(number).padStart(DIGITS, '0');

/** Somebody who keeps changing a saved view, as a y-websocket client does: valid edits, each a message. */
export class Writer {
  readonly #doc = new Y.Doc();
  readonly #view: Y.Map<unknown>;
  #update: Uint8Array = new Uint8Array();

  constructor(author: string) {
    this.#doc.on('update', (update: Uint8Array) => {
      this.#update = update;
    });
    const plain = { name: 'Bench', config: {}, plugin: 'Datagrid', dialect: 'exprtk', ref: 'main', author, createdAt: AT, updatedAt: AT };
    this.#view = new Y.Map(Object.entries(plain));
  }

  begin(): Uint8Array {
    this.#doc.getMap('views').set(`bench-${this.#doc.clientID}`, this.#view);
    return updateMessage(this.#update);
  }

  rename(number: number): Uint8Array {
    this.#view.set('name', marked(number));
    return updateMessage(this.#update);
  }

  /** A configuration of so many bytes. */
  configure(number: number, bytes: number): Uint8Array {
    this.#view.set('config', { note: marked(number), padding: 'x'.repeat(bytes) });
    return updateMessage(this.#update);
  }
}

/** An update as a message of y-websocket. */
export function updateMessage(update: Uint8Array): Uint8Array {
  const encoder = createEncoder();
  writeVarUint(encoder, 0);
  writeVarUint(encoder, 2);
  writeVarUint8Array(encoder, update);
  return toUint8Array(encoder);
}

/** A moved cursor as a message of y-websocket; clocks rise with the number. */
export const cursorMessage = (clientId: number, number: number, clock = number + 1): Uint8Array =>
  presenceMessage(clientId, clock, { user: { name: 'Bench' }, selection: { row: number, column: 'price' }, mark: marked(number) });

/** What one Yjs client tells of itself. */
export function presenceMessage(clientId: number, clock: number, presence: object): Uint8Array {
  const state = createEncoder();
  for (const field of [1, clientId, clock]) writeVarUint(state, field);
  writeVarString(state, JSON.stringify(presence));
  const encoder = createEncoder();
  writeVarUint(encoder, 1);
  writeVarUint8Array(encoder, toUint8Array(state));
  return toUint8Array(encoder);
}
