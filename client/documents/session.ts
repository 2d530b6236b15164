import type { DocumentOpened, Refusal } from '../../protocol/documents/messages.ts';
import { DOCUMENT_SHAPES } from '../../protocol/documents/shape.ts';
import { CovistaError, ERRORS, errorFromBody } from '../../protocol/errors.ts';
import { backoffMs } from '../backoff.ts';
import type { DocumentState } from './document-state.ts';
import { addedBy, Doubts } from './doubts.ts';
import { KeptCopy } from './kept-copy.ts';
import { isForWhatWasSent, isSame, type Line, openLine, readOnly, removedUnderWay, sendEdit, sendPresence } from './line.ts';
import { Listeners } from './listeners.ts';
import { Outgoing } from './outgoing.ts';
import { Paced } from './paced.ts';
import { introduce } from './presence.ts';
import { KEPT, REMOTE, Replica } from './replica.ts';
import type { SessionOptions } from './session-options.ts';
import { type Sending, Settlement } from './settlement.ts';
import { askMessage, readMessage, type ServerMessage } from './wire.ts';

/** One document of a client: a copy of it, and the channel that keeps the copy in step. */
export class DocumentSession {
  readonly name: string;
  readonly onState = new Listeners<[DocumentState]>();
  /** Edits that were refused, a copy that was given up, a copy that cannot be kept. */
  readonly onError = new Listeners<[CovistaError]>();
  /** The copy was given up, with all edits that the server did not have, and `doc` and `awareness` are others now. */
  readonly onReplaced = new Listeners<[]>();
  readonly #options: SessionOptions;
  readonly #settlement = new Settlement();
  readonly #doubts = new Doubts();
  readonly #kept: KeptCopy | undefined;
  readonly #outgoing: Outgoing;
  readonly #presenting: Paced;
  readonly #leaving = new AbortController();
  readonly #maps: readonly string[];
  #replica: Replica;
  #state: DocumentState = { kind: 'connecting', reason: undefined };
  #opened: DocumentOpened | undefined;
  #line: Line | undefined;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.name = options.name;
    this.#maps = Object.keys(DOCUMENT_SHAPES[options.name.startsWith('user/') ? 'user' : 'dataset']);
    this.#replica = this.#newReplica();
    this.#outgoing = new Outgoing(options.settings.editIntervalMs, (messages) => this.#line && this.#send(this.#line, messages));
    this.#presenting = new Paced(options.settings.presenceIntervalMs, () => this.#line && this.#present(this.#line));
    if (options.keeper !== undefined) this.#kept = new KeptCopy(options.keeper, options.name, (reason) => this.onError.tell(reason));
  }

  get replica(): Replica {
    return this.#replica;
  }

  get state(): DocumentState {
    return this.#state;
  }

  /** What the server said when it was opened last; undefined before it ever was. */
  get opened(): DocumentOpened | undefined {
    return this.#opened;
  }

  whenDurable(): Promise<void> {
    return this.#state.kind === 'closed' && this.#settlement.isOpen ? Promise.reject(this.#state.reason) : this.#settlement.whenSettled();
  }

  /** Edits until `release` are one for the server. */
  hold(): void {
    this.#outgoing.hold();
  }

  release(): void {
    this.#outgoing.release();
  }

  async whenKept(): Promise<void> {
    await this.#kept?.whenKept();
  }

  /** Takes up what is kept, if anything is, and begins to connect. */
  async start(): Promise<void> {
    const kept = await this.#kept?.load();
    if (kept !== undefined && this.#opened === undefined) {
      this.#opened = kept.opened;
      for (const update of kept.updates) {
        this.#replica.apply(update, KEPT);
        if (kept.unsettled) this.#outgoing.note(update);
      }
      if (kept.unsettled) this.#settlement.edited();
    }
    if (this.#state.kind !== 'closed') this.#connect();
  }

  close(reason: CovistaError): void {
    if (this.#state.kind === 'closed') return;
    this.#outgoing.flush();
    this.#presenting.stop();
    this.#replica.awareness.setLocalState(null);
    this.#line?.channel.close();
    this.#hangUp();
    this.#leaving.abort();
    this.#enter({ kind: 'closed', reason });
    this.#settlement.fail(reason);
    this.#replica.destroy();
  }

  #enter(state: DocumentState): void {
    this.#state = state;
    this.onState.tell(state);
  }

  #connect(): void {
    openLine(this.#options, this.#leaving.signal, {
      opened: (line) => this.#begin(line),
      notOpened: (reason) => this.#notOpened(reason),
      received: (line, bytes) => line === this.#line && this.#receive(line, bytes),
      lost: (line, reason) => line === this.#line && this.#lost(line, reason),
    });
  }

  #begin(line: Line): void {
    if (this.#state.kind === 'closed') {
      line.channel.close();
      return;
    }
    const { opened } = line.channel;
    const before = this.#opened;
    this.#opened = opened;
    if (before !== undefined && !isSame(before, opened))
      this.#replace(new CovistaError('conflict', `${this.name} is another document than before`, { documentId: opened.documentId }));
    this.#line = line;
    this.#kept?.note(opened);
    this.#enter({ kind: 'syncing' });
    line.channel.send(askMessage(this.#replica.doc));
    introduce(this.#replica.awareness, opened.subject);
  }

  /** A reason that does not pass by itself ends the document. Its copy goes only where it was deleted, or may not be read any more. */
  #notOpened(reason: CovistaError): void {
    if (this.#state.kind === 'closed') return;
    if (ERRORS[reason.code].retry !== 'never') this.#again(reason);
    else {
      if (reason.code === 'not_found' || reason.code === 'forbidden') this.#kept?.forget();
      this.close(reason);
    }
  }

  /** The channel ended. Only the next opening tells for good whether there is a way back. */
  #lost(line: Line, reason: CovistaError | undefined): void {
    this.#hangUp();
    if (Date.now() - line.sinceMs > this.#options.settings.backoffMaxMs) this.#failures = 0;
    if (reason !== undefined && isForWhatWasSent(reason)) this.#replace(reason);
    this.#again(reason);
  }

  #again(reason: CovistaError | undefined): void {
    this.#enter({ kind: 'connecting', reason });
    const { backoffBaseMs, backoffMaxMs } = this.#options.settings;
    this.#timer = setTimeout(() => this.#connect(), backoffMs(this.#failures, backoffBaseMs, backoffMaxMs));
    this.#failures += 1;
  }

  #hangUp(): void {
    clearTimeout(this.#timer);
    this.#line = undefined;
    this.#outgoing.clear();
    this.#presenting.stop();
    this.#doubts.add(this.#settlement.interrupted());
    this.#replica.forgetOthers();
  }

  #receive(line: Line, bytes: Uint8Array): void {
    const message = readMessage(bytes);
    if (message.kind === 'ask') this.#share(line, message.stateVector);
    else if (message.kind === 'difference') this.#catchUp(message.update);
    else if (message.kind === 'update') this.#takeIn(message.update);
    else if (message.kind === 'durable') this.#settled(line, message.edits);
    else if (message.kind === 'refused') this.#refused(line, message.refusal);
    else this.#meet(line, message);
  }

  #meet(line: Line, message: Extract<ServerMessage, { kind: 'awareness' | 'queryAwareness' | 'denied' }>): void {
    if (message.kind === 'awareness') this.#replica.applyAwareness(message.update);
    else if (message.kind === 'queryAwareness') this.#present(line);
    else this.onError.tell(new CovistaError('forbidden', message.reason));
  }

  #present(line: Line): void {
    const fault = sendPresence(line, this.#replica.awareness);
    if (fault !== undefined) this.onError.tell(fault);
  }

  /** An observer of the document that throws does not keep it from being synced. */
  #catchUp(update: Uint8Array): void {
    try {
      this.#takeIn(update);
    } finally {
      if (this.#state.kind === 'syncing') this.#enter({ kind: 'synced' });
    }
  }

  #takeIn(update: Uint8Array): void {
    for (const sending of this.#doubts.across(this.#replica.doc, () => this.#replica.apply(update))) this.#gone(sending);
  }

  #gone(sending: Sending): void {
    const reason = removedUnderWay(this.name);
    this.#settlement.gone(sending, reason);
    this.onError.tell(reason);
  }

  /** Sends what the server lacks; who may only read has nothing that it lacks. */
  #share(line: Line, stateVector: Uint8Array): void {
    if (line.channel.opened.canWrite) {
      const messages = this.#outgoing.difference(this.#replica.doc, stateVector);
      line.shared ??= messages.length;
      this.#outgoing.clear();
      this.#send(line, messages);
    } else if (this.#settlement.isOpen) this.#giveUp(line, readOnly(this.name));
  }

  /** Sends messages that together carry everything that the server was not sent before. */
  #send(line: Line, messages: readonly Uint8Array[]): void {
    for (const [index, message] of messages.entries()) {
      const fault = sendEdit(line, message);
      if (fault !== undefined) {
        this.#giveUpSoon(line, fault);
        return;
      }
      this.#settlement.sent(addedBy(message), index === messages.length - 1);
    }
  }

  #settled({ shared = Number.POSITIVE_INFINITY }: Line, edits: number): void {
    if (edits >= shared) this.#doubts.clear();
    this.#settlement.settle(edits);
    if (this.#settlement.isOpen) return;
    this.#outgoing.settled();
    this.#kept?.settle();
  }

  #refused(line: Line, { edit, code, message, rule, path, rebuild }: Refusal): void {
    const error = errorFromBody({ code, message, details: { rule, path, rebuild } });
    this.#settlement.refuse(edit, error);
    if (rebuild) this.#giveUp(line, error);
    else this.onError.tell(error);
  }

  /** This copy can sync no more: another one takes its place. */
  #giveUp(line: Line, reason: CovistaError): void {
    line.channel.close();
    this.#hangUp();
    this.#replace(reason);
    this.#again(reason);
  }

  /** Behind the change that is being made: its document is not to go meanwhile. */
  #giveUpSoon(line: Line, reason: CovistaError): void {
    queueMicrotask(() => line === this.#line && this.#giveUp(line, reason));
  }

  #replace(reason: CovistaError): void {
    const presence = this.#replica.awareness.getLocalState();
    this.#settlement.abandon(reason);
    this.#outgoing.settled();
    this.#doubts.clear();
    this.#kept?.forget();
    const old = this.#replica;
    this.#replica = this.#newReplica();
    this.#replica.awareness.setLocalState(presence);
    if (this.#opened !== undefined) this.#kept?.note(this.#opened);
    old.destroy();
    this.onReplaced.tell();
    this.onError.tell(reason);
  }

  #newReplica(): Replica {
    const replica: Replica = new Replica(this.#maps, {
      updated: (update, origin) => replica === this.#replica && this.#updated(update, origin),
      presented: () => replica === this.#replica && this.#line !== undefined && this.#presenting.ask(),
    });
    return replica;
  }

  #updated(update: Uint8Array, origin: unknown): void {
    if (origin === KEPT) return;
    if (origin !== REMOTE) this.#edited(update);
    this.#kept?.append(update, this.#settlement.isOpen);
  }

  #edited(update: Uint8Array): void {
    this.#settlement.edited();
    this.#outgoing.note(update);
    const line = this.#line;
    if (line === undefined) return;
    if (!line.channel.opened.canWrite) this.#giveUpSoon(line, readOnly(this.name));
    else if (line.shared !== undefined) this.#outgoing.gather(update);
  }
}
