import type { Fault } from '../../../protocol/documents/index.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Subject } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { Channel, ChannelPeer } from '../../shared/channel.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Allowances, Allowed } from './allowance.ts';
import { CatchUp } from './catch-up.ts';
import type { LiveDocument, Participant } from './live-document.ts';
import { type ClientMessage, decodeMessage, decoding, deniedMessage, durableMessage, refusedMessage, updateMessage } from './messages.ts';
import { pieceBytes } from './presence.ts';
import { foreign, malformed, type Refused, tooLarge } from './refused.ts';
import { removalOf, type UpdateScan } from './update-scan.ts';

export interface ParticipantOptions {
  readonly document: LiveDocument;
  readonly peer: ChannelPeer;
  readonly subject: Subject;
  readonly canWrite: boolean;
  /** Sees more than the others here, so that what they look at is not told to them. */
  readonly isVisitor: boolean;
  /** Whether they know `durable` and `refused`. */
  readonly receipts: boolean;
  /** Of the connection that it is on. */
  readonly allowances: Allowances;
  readonly limits: Limits;
  readonly clock: Clock;
  /** The channel is over, whoever ended it. */
  readonly onClosed: () => void;
}

/** One channel of a document. */
export class DocumentChannel implements Channel, Participant {
  readonly subject: Subject;
  readonly #options: ParticipantOptions;
  /** Edits received, and of these how many are settled and how many of that was told. */
  #edits = 0;
  #settled = 0;
  #acknowledged = 0;
  /** Whether they have asked for the state, as every channel does once. */
  #hasAsked = false;
  /** Whether they have answered the question of what the server lacks. */
  #hasSynced = false;
  /** Whether the state that they lack is still to come. */
  #awaitsState = false;
  #isEnding = false;
  #catchUp: CatchUp | undefined;
  /** Whether something was committed while they caught up. */
  #hasMissed = false;
  /** Of the last state that was sent to them. */
  #stateBytes = 0;
  /** What waits for them beyond the bound, because a state could not be smaller. */
  #excessBytes = 0;

  constructor(options: ParticipantOptions) {
    this.#options = options;
    this.subject = options.subject;
  }

  get queuedBytes(): number {
    return this.#options.peer.queuedBytes;
  }

  /** Asks what the server lacks, and says who is there. */
  begin(): void {
    const { document } = this.#options;
    document.join(this);
    document.ask(this);
    this.#tellPresence(document.rounds.known(document.presence.present()));
  }

  receive(bytes: Uint8Array): void {
    if (this.#isEnding) return;
    const message = decodeMessage(bytes);
    this.#count(message);
    if (message.kind === 'step1') this.#sync(message.stateVector, true);
    else if (message.kind === 'queryAwareness') this.#tellPresence(this.#options.document.presence.present());
    else if (message.kind === 'awareness') this.#receiveAwareness(message.update);
    else {
      this.#edits += 1;
      this.#receiveEdit(message.update);
      if (message.kind === 'step2') this.#hasSynced = true;
    }
  }

  closed(): void {
    const { document, onClosed } = this.#options;
    this.#isEnding = true;
    this.#catchUp?.end();
    document.leave(this);
    document.rounds.change(document.presence.leave(this));
    onClosed();
  }

  send(message: Uint8Array): void {
    if (!this.#isEnding) this.#options.peer.send(message);
  }

  sendState(message: Uint8Array, stateVector: Uint8Array | undefined, isAsked: boolean): void {
    const wasBehind = this.#catchUp !== undefined;
    this.#awaitsState = false;
    this.#catchUp?.end();
    this.#catchUp = undefined;
    this.send(message);
    const { documentQueuedBytesMax: bytesMax, documentStallMs: stallMs } = this.#options.limits;
    // A difference says all that was ever removed: where that is much, the next one would be as large, and they would never be there.
    // Who asks anew is sent as much as at first, which says nothing of that.
    const isShrinking = !wasBehind || isAsked || message.length < this.#stateBytes / 2;
    const isMuch = this.queuedBytes > bytesMax;
    this.#stateBytes = message.length;
    this.#excessBytes = isMuch && !isShrinking ? message.length : 0;
    if (stateVector === undefined || this.#isEnding || !isMuch || !isShrinking) {
      this.acknowledge();
      return;
    }
    this.#hasMissed = false;
    this.#catchUp = new CatchUp({
      queuedBytes: () => this.queuedBytes,
      // What they lack then has room behind what still waits.
      doneBytes: bytesMax / 2,
      stallMs,
      onDone: () => this.#caughtUp(stateVector),
      onStalled: () => this.#endFallenBehind('drop'),
    });
  }

  #caughtUp(stateVector: Uint8Array): void {
    if (this.#hasMissed) this.#sync(stateVector, false);
    else {
      this.#catchUp = undefined;
      this.acknowledge();
    }
  }

  relay(message: Uint8Array): void {
    if (this.#catchUp !== undefined) {
      this.#hasMissed = true;
      return;
    }
    const { documentQueuedBytesMax } = this.#options.limits;
    // They come back and sync, which costs less than what waits for them.
    if (this.queuedBytes > documentQueuedBytesMax + this.#excessBytes) this.#endFallenBehind();
    else this.send(message);
  }

  /** What waits for who reads nothing is dropped, but for a message of which a part has left. */
  #endFallenBehind(waiting: 'keep' | 'drop' = 'keep'): void {
    if (waiting === 'drop') this.#options.peer.drop();
    this.end(new CovistaError('unavailable', 'you fell too far behind; come back and sync'));
  }

  /** Not before a state that was asked for: who hears first that their edits are settled takes what it lacks of them for others' doing. */
  acknowledge(): void {
    if (this.#catchUp === undefined && !this.#awaitsState) this.#tellSettled();
  }

  #tellSettled(): void {
    if (this.#acknowledged === this.#settled) return;
    this.#acknowledged = this.#settled;
    if (this.#options.receipts) this.send(durableMessage(this.#settled));
  }

  end(reason: CovistaError): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#options.peer.close(reason);
  }

  #count(message: ClientMessage): void {
    if (message.kind === 'awareness') this.#countPresence(message.update.length);
    else if (message.kind === 'queryAwareness') this.#countPresence(0);
    else if (message.kind !== 'step1') {
      this.#take('updates', 1);
      this.#take('updateBytes', message.update.length);
    } else {
      if (this.#hasAsked) this.#take('syncs', 1);
      this.#hasAsked = true;
    }
  }

  /** Much of it costs as much as many messages. */
  #countPresence(bytes: number): void {
    const { limits } = this.#options;
    const { documentUpdateBytesMax } = limits;
    if (bytes > documentUpdateBytesMax) {
      throw new CovistaError('payload_too_large', `a presence message has at most ${documentUpdateBytesMax} bytes`, { documentUpdateBytesMax });
    }
    this.#take('awareness', 1 + Math.floor(bytes / (2 * pieceBytes(limits))));
  }

  #take(what: Allowed, amount: number): void {
    if (!this.#mayTake(what, amount)) throw this.#options.allowances.tooMuchOf(what);
  }

  #mayTake(what: Allowed, amount: number): boolean {
    return this.#options.allowances.take(what, amount, this.#options.clock.now());
  }

  /** A state vector that is none shows only when it is read. */
  #sync(stateVector: Uint8Array, isAsked: boolean): void {
    this.#awaitsState = true;
    decoding(() => {
      this.#options.document.sync(stateVector, this, isAsked);
      return true;
    });
  }

  #tellPresence(clientIds: readonly number[]): void {
    for (const message of this.#options.document.presence.messages(clientIds)) this.send(message);
  }

  #receiveAwareness(update: Uint8Array): void {
    if (this.#options.isVisitor) return;
    const { document } = this.#options;
    const { changed, arrived, renewed, fault } = document.presence.receive(update, this);
    // A mere reader keeps no id from others.
    if (this.#options.canWrite) document.clients.told([...arrived, ...changed, ...renewed], this.subject);
    document.rounds.change(changed);
    document.rounds.arrive(arrived);
    document.rounds.renew(renewed);
    if (fault === undefined) return;
    this.#countRefusal();
    this.send(deniedMessage(`${fault.rule}: ${fault.path.join('/')} ${fault.message}`));
  }

  #receiveEdit(update: Uint8Array): void {
    const { document } = this.#options;
    const refused = this.#judge(update, document);
    if (refused !== undefined) this.#refuse(refused);
    const edit = this.#edits;
    document.settle(this, () => {
      this.#settled = edit;
    });
    if (refused?.rebuild === true) document.settle(this, () => this.#endAfter(refused));
  }

  #judge(update: Uint8Array, document: LiveDocument): Refused | undefined {
    const { documentUpdateBytesMax, documentUpdateStructsMax, documentConflictStepsMax } = this.#options.limits;
    const { documentBytesMax, documentRootsMax, documentLevelsMax } = this.#options.limits;
    if (update.length > documentUpdateBytesMax) return tooLarge(`an edit has at most ${documentUpdateBytesMax} bytes`);
    const scan = document.scan(update);
    if (!this.#options.canWrite) return this.#judgeReader(scan);
    if (scan.added.length === 0 && !scan.removes && !scan.misses) return undefined;
    if (Math.max(scan.structs, scan.removals) > documentUpdateStructsMax)
      return tooLarge(`an edit has at most ${documentUpdateStructsMax} items, and as many removals`);
    const splitSteps = scan.splitSteps();
    if (splitSteps > documentConflictStepsMax) return tooLarge('splits values that were put in together more often than may be');
    if (!document.clients.areTheirs(scan.added, this.subject)) return foreign();
    if (document.clients.areTooMany(scan.added, this.subject)) return tooLarge('comes under more new Yjs client ids than one person may use');
    if (scan.misses) return this.#missing();
    if (scan.hasSubdocument) return malformed('must not hold documents of its own');
    if (document.doc.share.size + scan.newRoots.length > documentRootsMax) return malformed(`has at most ${documentRootsMax} types at its root`);
    if (scan.isTooDeep) return malformed(`holds types and values within each other at most ${documentLevelsMax} times`);
    if (scan.added.length > 0 && document.isTooLarge(update.length)) return tooLarge(`a document has at most ${documentBytesMax} bytes`);
    if (document.isPuttingBack) throw new CovistaError('unavailable', 'much that was put back waits for the database; come back and sync');
    // What edits cost that were refused is owed by those that follow: of the refusal their author has to hear.
    this.#take('conflictSteps', 0);
    const { refused, bytes, steps } = document.take(update, scan, this);
    const isRare = this.#mayTake('conflictSteps', splitSteps + steps);
    if (refused !== undefined) return { ...refused, bytes };
    if (!isRare) throw this.#options.allowances.tooMuchOf('conflictSteps');
    return undefined;
  }

  /** What a reader has added is removed from their copy; what they have removed there, nobody can put back under the same id. */
  #judgeReader({ added, addsContent, removes }: UpdateScan): Refused | undefined {
    if (!addsContent && !removes) return undefined;
    const fault: Fault = { rule: 'DOC13', path: [], message: 'needs write permission' };
    if (addsContent) this.send(updateMessage(removalOf(added)));
    return { code: 'forbidden', fault, rebuild: removes };
  }

  /** Edits that a client made before it has told of older ones come again in its answer, so that this is no fault of it yet. */
  #missing(): Refused | undefined {
    this.#options.document.ask(this);
    if (!this.#hasSynced) return undefined;
    const fault: Fault = { rule: 'DOC14', path: [], message: 'builds on edits that the server does not have' };
    return { code: 'conflict', fault, rebuild: false };
  }

  #refuse({ code, fault, rebuild, bytes }: Refused): void {
    const edit = this.#edits;
    const path = [...fault.path];
    const told = this.#options.receipts
      ? refusedMessage({ edit, code, rule: fault.rule, message: fault.message, path, rebuild })
      : deniedMessage(`${fault.rule}: ${[path.join('/'), fault.message].filter((part) => part !== '').join(' ')}`);
    this.#options.document.log.whenCommitted(() => this.send(told));
    this.#countRefusal(bytes);
  }

  /** Putting back much costs as much as many refusals. */
  #countRefusal(bytes = 0): void {
    this.#take('refusals', 1 + Math.floor(bytes / this.#options.limits.documentPutBackBytes));
  }

  #endAfter({ code, fault }: Refused): void {
    this.#tellSettled();
    this.end(new CovistaError(code, `${fault.rule}: the edit ${fault.message}`, { rule: fault.rule, path: fault.path, rebuild: true }));
  }
}
