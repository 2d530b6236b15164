import type { Awareness } from 'y-protocols/awareness';
import type { DocumentOpened } from '../../protocol/documents/messages.ts';
import { CovistaError, ERRORS } from '../../protocol/errors.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import type { OpenChannel } from '../channel-call.ts';
import type { SessionOptions } from './session-options.ts';
import { awarenessMessage } from './wire.ts';

/** A channel from its opening to its end. */
export interface Line {
  readonly channel: OpenChannel<DocumentOpened>;
  readonly sinceMs: number;
  /**
   * How many messages told the server what it lacked; undefined until it has said what it has: before, an edit might rest on others
   * that it lacks.
   */
  shared: number | undefined;
}

interface LineEvents {
  readonly opened: (line: Line) => void;
  readonly notOpened: (reason: CovistaError) => void;
  readonly received: (line: Line, bytes: Uint8Array) => void;
  readonly lost: (line: Line, reason: CovistaError | undefined) => void;
}

/** Opens a channel. What the server says before its opening is known here waits for that. */
export function openLine({ connect, name }: SessionOptions, signal: AbortSignal, events: LineEvents): void {
  const early: Uint8Array[] = [];
  let line: Line | undefined;
  const connecting = connect(name, {
    onMessage: (bytes) => {
      if (line === undefined) early.push(bytes);
      else events.received(line, bytes);
    },
    onClose: (reason) => line !== undefined && events.lost(line, reason),
    signal,
    timeoutMs: Number.POSITIVE_INFINITY,
  });
  connecting.then((channel) => {
    line = { channel, sinceMs: Date.now(), shared: undefined };
    events.opened(line);
    for (const bytes of early) events.received(line, bytes);
  }, events.notOpened);
}

/** Sends an edit, or answers why it cannot be sent: it is larger than any request to this server may be. */
export const sendEdit = (line: Line, message: Uint8Array): CovistaError | undefined => sendUnder('DOC15', line, message);

/** Sends who is here, or answers why not: it is more than a message may have, so that the server would end the channel, again and again. */
export function sendPresence(line: Line, awareness: Awareness): CovistaError | undefined {
  const { documentUpdateBytesMax: bytesMax, awarenessStateBytesMax } = defaultLimits;
  const message = awarenessMessage(awareness);
  if (message.length > bytesMax)
    return new CovistaError('payload_too_large', `an awareness state has at most ${awarenessStateBytesMax} bytes`, { rule: 'DOC9', path: [] });
  return sendUnder('DOC9', line, message);
}

/** Answers the rule by which a message is larger than any request to this server may be: it is sent out of timers too, where nobody catches. */
function sendUnder(rule: string, { channel }: Line, message: Uint8Array): CovistaError | undefined {
  try {
    channel.send(message);
    return undefined;
  } catch (fault) {
    if (!(fault instanceof CovistaError) || fault.code !== 'payload_too_large') throw fault;
    return new CovistaError(fault.code, fault.message, { ...fault.details, rule, path: [] }, fault);
  }
}

/** A copy is of one document and of one person, as whose its edits are sent. */
export const isSame = (one: DocumentOpened, other: DocumentOpened): boolean => one.documentId === other.documentId && one.subject === other.subject;

/** Whether what this client sent ended the channel, so that sending it again would too. */
export function isForWhatWasSent({ code, details }: CovistaError): boolean {
  return details.rebuild === true || (ERRORS[code].retry === 'never' && !['forbidden', 'not_found', 'cancelled'].includes(code));
}

export const readOnly = (name: string): CovistaError => new CovistaError('forbidden', `you may read ${name} but not change it`, { name });

export const removedUnderWay = (name: string): CovistaError =>
  new CovistaError('conflict', `edits of ${name} that were under way when the connection was lost were refused, or removed by others`, { name });
