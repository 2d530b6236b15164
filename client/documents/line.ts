import type { DocumentOpened } from '../../protocol/documents/messages.ts';
import { CovistaError, ERRORS } from '../../protocol/errors.ts';
import type { OpenChannel } from '../channel-call.ts';

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

/** A copy is of one document and of one person, as whose its edits are sent. */
export const isSame = (one: DocumentOpened, other: DocumentOpened): boolean => one.documentId === other.documentId && one.subject === other.subject;

/** Whether what this client sent ended the channel, so that sending it again would too. */
export function isForWhatWasSent({ code, details }: CovistaError): boolean {
  return details.rebuild === true || (ERRORS[code].retry === 'never' && !['forbidden', 'not_found', 'cancelled'].includes(code));
}

export const readOnly = (name: string): CovistaError => new CovistaError('forbidden', `you may read ${name} but not change it`, { name });

export const removedUnderWay = (name: string): CovistaError =>
  new CovistaError('conflict', `edits of ${name} that were under way when the connection was lost were refused, or removed by others`, { name });
