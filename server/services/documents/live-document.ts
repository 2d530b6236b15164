import * as Y from 'yjs';
import type { DocumentSubject } from '../../../protocol/documents/index.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Subject } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { CacheCounts } from '../../shared/cache-counts.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { updatesOf } from '../../shared/stored-updates.ts';
import type { ClientBinding, DocumentLease, DocumentStore, StoredDocument } from '../../storage/stores.ts';
import { Answers, type Asker } from './answers.ts';
import { DocumentLog, type Origin } from './document-log.ts';
import { Growth } from './growth.ts';
import { type Integrated, Integration } from './integration.ts';
import { updateMessage } from './messages.ts';
import { Presence } from './presence.ts';
import { PresenceRounds } from './presence-rounds.ts';
import { SyncMessages } from './sync-messages.ts';
import { scanUpdate, type UpdateScan } from './update-scan.ts';
import { YjsClients } from './yjs-clients.ts';

/** Somebody who has the document open. */
export interface Participant extends Asker {
  readonly subject: Subject;
  send(message: Uint8Array): void;
  /** Edits that are committed; within their limit, or it lets go. */
  relay(message: Uint8Array): void;
  /** Tells how many of their edits are settled, if that has changed. */
  acknowledge(): void;
  end(reason: CovistaError): void;
}

export interface LiveDocumentOptions {
  readonly name: string;
  readonly kind: DocumentSubject['kind'];
  readonly lease: DocumentLease;
  readonly stored: StoredDocument;
  readonly store: Pick<DocumentStore, 'append'>;
  readonly limits: Limits;
  /** Where it is counted how often an answer to a copy was made before. */
  readonly answers: CacheCounts;
  readonly clock: Clock;
  readonly log: Logger;
  /** It can be written no more, and those who had it open were told. */
  readonly onLost: () => void;
  /** Its log has grown so much, or it is so long ago, that a state should take its place. */
  readonly onGrown: () => void;
}

/** Where updates come from that are put together from the database. */
const LOADING = Symbol('loading');
/** More updates than this at once take too long to merge. */
const MERGED_AT_ONCE_MAX = 64;

/** What became of an edit. */
export interface Taken extends Pick<Integrated, 'refused' | 'steps'> {
  /** How much the document has to say of it to everybody. */
  readonly bytes: number;
}

interface Committed {
  readonly update: Uint8Array;
  /** Who has it already. */
  readonly from: Participant | undefined;
}

interface Appended extends Pick<Committed, 'from'> {
  readonly bindings: readonly ClientBinding[];
  readonly origin: Origin;
}

/** One document, held in memory for as long as somebody has it open. */
export class LiveDocument {
  readonly name: string;
  readonly lease: DocumentLease;
  readonly doc: Y.Doc;
  readonly presence: Presence;
  readonly clients: YjsClients;
  readonly rounds: PresenceRounds;
  readonly log: DocumentLog;
  readonly #options: LiveDocumentOptions;
  readonly #integration: Integration;
  readonly #messages: SyncMessages;
  readonly #answers: Answers;
  readonly #growth: Growth;
  readonly #participants = new Set<Participant>();
  readonly #toAcknowledge = new Set<Participant>();
  #emitted: Uint8Array | undefined;
  #committed: Committed[] = [];
  #isLost = false;
  #isTelling = false;

  constructor(options: LiveDocumentOptions) {
    const { name, kind, lease, stored, store, limits, clock } = options;
    this.name = name;
    // Making up a name costs Yjs more than all else about a document.
    this.doc = new Y.Doc({ guid: name });
    this.lease = lease;
    this.#options = options;
    this.presence = new Presence(limits, clock);
    this.clients = new YjsClients({ bindings: stored.bindings, told: stored.told, own: this.doc.clientID, limits });
    this.rounds = new PresenceRounds({ presence: this.presence, participants: this.#participants, limits });
    this.#messages = new SyncMessages(this.doc, limits, options.answers);
    this.#integration = new Integration({ doc: this.doc, kind, limits });
    this.#restore(stored);
    this.#growth = new Growth(stored, { limits, clock });
    const sequence = stored.batches.at(-1)?.sequence ?? stored.state?.sequence ?? 0;
    this.log = new DocumentLog({ store, lease, sequence, onLost: (reason) => this.lose(reason) });
    this.#answers = new Answers({ doc: this.doc, messages: this.#messages, log: this.log, limits });
    this.doc.on('update', (update: Uint8Array) => {
      this.#emitted = update;
    });
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  get participants(): number {
    return this.#participants.size;
  }

  join(participant: Participant): void {
    this.#participants.add(participant);
  }

  leave(participant: Participant): void {
    this.#participants.delete(participant);
    this.#toAcknowledge.delete(participant);
    this.#answers.leave(participant);
    this.rounds.leave(participant);
  }

  scan(update: Uint8Array): UpdateScan {
    return scanUpdate(this.doc, update, this.#options.limits.documentLevelsMax);
  }

  /** Whether it has no room for so many bytes more. */
  isTooLarge(bytes: number): boolean {
    const isTooLarge = this.#growth.isTooLarge(bytes);
    // Put together it may be smaller, since what was removed needs no room.
    if (isTooLarge && this.logBatches > 0) this.#options.onGrown();
    return isTooLarge;
  }

  /** Whether so much of the server's own waits for the database that nothing may come which it might have to put back too. */
  get isPuttingBack(): boolean {
    return this.log.pendingBytes.own > this.#options.limits.documentPendingBytesMax;
  }

  /** Takes an edit that was scanned into the document, and what it comes to into the log; then to everybody else. */
  take(update: Uint8Array, { added }: UpdateScan, from: Participant): Taken {
    const { subject } = from;
    const { refused, steps, changesMore } = this.#integrate(update, subject);
    const emitted = this.#emitted;
    if (emitted === undefined) return { refused, steps, bytes: 0 };
    this.#emitted = undefined;
    // What the server changed, as in taking an edit back, goes to whoever made it too, so that their copy becomes what everybody has.
    const bindings = [...this.clients.bind(added, subject), ...this.#bindOwn()];
    this.#append(emitted, { bindings, from: changesMore ? undefined : from, origin: refused === undefined ? 'edit' : 'own' });
    return { refused, steps, bytes: emitted.length };
  }

  /** An edit of the server's own, which is right and goes to everybody. */
  change(edit: (doc: Y.Doc) => void): void {
    this.doc.transact(() => edit(this.doc));
    const emitted = this.#emitted;
    this.#emitted = undefined;
    if (emitted !== undefined) this.#append(emitted, { bindings: this.#bindOwn(), from: undefined, origin: 'own' });
  }

  /** Asks a participant what the server lacks. */
  ask(participant: Participant): void {
    participant.send(this.#messages.ask());
  }

  /** What a participant lacks, once all of it is committed; one answer to all that they ask until then. */
  sync(stateVector: Uint8Array, to: Participant, isAsked: boolean): void {
    this.#answers.ask(stateVector, to, isAsked);
  }

  /** Tells a participant that an edit of theirs is settled, once all that came before it is. */
  settle(participant: Participant, settled: () => void): void {
    this.log.whenCommitted(() => {
      settled();
      this.#toAcknowledge.add(participant);
      this.#afterCommit();
    });
  }

  /** Gives the document up: whoever has it open is told, and what was not committed they still have themselves. */
  lose(reason: CovistaError): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#options.log.warn({ document: this.name, err: reason }, 'a document was given up');
    for (const participant of [...this.#participants]) participant.end(reason);
    this.destroy();
    this.#options.onLost();
  }

  /** A state of so many bytes has taken the place of the log up to a batch. */
  compacted(sequence: number, stateBytes: number): void {
    this.#growth.compacted(sequence, stateBytes);
  }

  /** The next snapshot that is kept by itself is due so much later. */
  snapshotDueIn(ms: number): void {
    this.#growth.snapshotDueIn(ms);
  }

  /** Batches that opening it anew would replay. */
  get logBatches(): number {
    return this.#growth.batchesUpTo(this.log.sequence);
  }

  destroy(): void {
    this.rounds.stop();
    this.#answers.end();
    this.doc.destroy();
  }

  #restore(stored: StoredDocument): void {
    // Known as maps from the beginning, whatever clients say that they are.
    for (const map of ['views', this.#options.kind === 'dataset' ? 'annotations' : 'preferences']) this.doc.getMap(map);
    this.#integration.load(updatesOf(stored), LOADING);
  }

  #integrate(update: Uint8Array, subject: Subject): Integrated {
    try {
      return this.#integration.apply({ update, subject });
    } catch (cause) {
      this.#emitted = undefined;
      const reason = new CovistaError('unavailable', 'an edit met a fault of the server, which opens the document anew', {}, cause);
      this.lose(reason);
      throw reason;
    }
  }

  /** To the database, and then to everybody but who has it already. */
  #append(update: Uint8Array, { bindings, from, origin }: Appended): void {
    this.#growth.appended(update.length);
    this.log.append(update, bindings, origin);
    this.log.whenCommitted(() => {
      this.#committed.push({ update, from });
      this.#afterCommit();
      if (this.#growth.isStateDue(this.log.sequence)) this.#options.onGrown();
    });
    const { documentPendingBytesMax } = this.#options.limits;
    if (this.log.pendingBytes.edit > documentPendingBytesMax) this.lose(new CovistaError('unavailable', 'more edits wait for the database than may'));
  }

  /** The server's own id is in use once it has put something back or changed something. */
  #bindOwn(): ClientBinding[] {
    return this.doc.store.clients.has(this.doc.clientID) ? this.clients.bindOwn() : [];
  }

  /** Once for all edits of a commit: first everybody gets them, then those who made them hear that they are settled. */
  #afterCommit(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      this.#relay();
      this.#acknowledge();
    });
  }

  #relay(): void {
    const committed = this.#committed;
    this.#committed = [];
    const [only] = committed;
    if (only === undefined) return;
    if (committed.length === 1) {
      this.#send(only.update, only.from);
      return;
    }
    for (let at = 0; at < committed.length; at += MERGED_AT_ONCE_MAX) {
      const some = committed.slice(at, at + MERGED_AT_ONCE_MAX);
      // Who made one of them gets it back, which changes nothing for them.
      this.#send(Y.mergeUpdates(some.map(({ update }) => update)), some.every(({ from }) => from === only.from) ? only.from : undefined);
    }
  }

  #send(update: Uint8Array, from: Participant | undefined): void {
    const message = updateMessage(update);
    for (const participant of this.#participants) if (participant !== from) participant.relay(message);
    this.rounds.ride();
  }

  #acknowledge(): void {
    for (const participant of this.#toAcknowledge) participant.acknowledge();
    this.#toAcknowledge.clear();
  }
}
