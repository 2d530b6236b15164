import { CovistaError, type ErrorCode } from '../../../protocol/errors.ts';
import { AssertionFault } from '../../shared/assert.ts';

/** What PostgreSQL said, found under the wrappers that the driver puts around it. */
export interface DatabaseFault {
  /** SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html), or a Node error code such as ECONNREFUSED. */
  readonly state: string;
  readonly constraint: string | undefined;
}

export function faultOf(error: unknown): DatabaseFault | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') {
      return { state: at.code, constraint: 'constraint' in at && typeof at.constraint === 'string' ? at.constraint : undefined };
    }
  }
  return undefined;
}

/** Serialization failure and deadlock: the same transaction may succeed when it is run again. */
export function isTransient(error: unknown): boolean {
  const state = faultOf(error)?.state;
  return state === '40001' || state === '40P01';
}

const MEANINGS: readonly { readonly states: RegExp; readonly code: ErrorCode; readonly message: string }[] = [
  { states: /^40/, code: 'unavailable', message: 'the database could not serialize this change with others; try again' },
  { states: /^55P03$|^57014$/, code: 'timeout', message: 'the database took longer than a statement may' },
  { states: /^53100$/, code: 'storage_full', message: 'the database has no room left' },
  { states: /^53200$/, code: 'memory_limit', message: 'the database has no memory left for this' },
  { states: /^53|^08|^57P|^25P03$|^E(CONN|PIPE|TIMEDOUT|NOTFOUND|HOST|NET|AI_)/, code: 'unavailable', message: 'the database does not answer' },
  { states: /^22(021|P05)$/, code: 'invalid_input', message: 'a text contains a character that cannot be stored' },
  { states: /^2200[78]$/, code: 'invalid_input', message: 'a time is not one that can be stored' },
  { states: /^23505$/, code: 'conflict', message: 'it exists already' },
];

/** Slonik's own error types for connections that were lost, which carry no code. */
const LOST_CONNECTION = new Set(['BackendTerminatedError', 'BackendTerminatedUnexpectedlyError', 'ConnectionError', 'IdleTransactionTimeoutError']);

/** Whether a connection can have no further use after this error. */
export function isLostConnection(error: unknown): boolean {
  if (error instanceof CovistaError || !(error instanceof Error)) return false;
  return LOST_CONNECTION.has(error.constructor.name) || /^08|^57P|^25P03$|^E(CONN|PIPE|TIMEDOUT)/.test(faultOf(error)?.state ?? '');
}

/** The one place where database errors become errors of the protocol; what it does not know stays a fault of the server. */
export function translate(error: unknown): unknown {
  if (error instanceof CovistaError || error instanceof AssertionFault) return error;
  const fault = faultOf(error);
  const meaning = fault && MEANINGS.find(({ states }) => states.test(fault.state));
  if (meaning) return new CovistaError(meaning.code, meaning.message, {}, error);
  if (isLostConnection(error)) return new CovistaError('unavailable', 'the database does not answer', {}, error);
  return error;
}
