import type { Operation } from '../../protocol/define.ts';
import { CovistaError, type ErrorCode } from '../../protocol/errors.ts';
import type { DatasetId, VersionId } from '../../protocol/ids.ts';
import { type OperationName, operationsByName } from '../../protocol/operations/index.ts';
import type { AuditTrail } from '../services/access/audit-trail.ts';
import { isId } from '../shared/cursor.ts';
import { type Call, nextRequestId } from './call.ts';

/** What of a call goes into the audit follows from the declaration of its operation, so that a new one inherits it. */
export interface CallAudit {
  /** A call failed: recorded if that is a refusal, or the failure of a command. */
  failed(operation: Operation | undefined, call: Call, error: CovistaError): void;
  /** An operation whose uses are accounted for was used; `result` is its value or its first item. */
  used(call: Call, input: unknown, result: unknown): void;
}

/** What the audit calls the ways in, which are no operations of the registry. */
export const CONNECT = 'session.connect';
export const AUTHENTICATE = 'session.authenticate';

/** Somebody who was turned away before there was a call. */
export interface Refused {
  /** An operation as the caller wrote it, or one of the ways in. */
  readonly operation: string;
  readonly address: string;
  /** Where the session is known. */
  readonly subject?: string;
}

/** Records that somebody was turned away; a fault of the server is no refusal. */
export function recordRefusal(trail: AuditTrail, fault: unknown, { operation, address, subject = '' }: Refused): void {
  if (!(fault instanceof CovistaError)) return;
  const requestId = nextRequestId();
  trail.record(
    {
      actor: subject,
      operation: nameOf(operation),
      datasetId: null,
      versionId: null,
      requestId,
      address,
      outcome: fault.code,
      detail: {},
    },
    DENIALS.has(fault.code),
  );
}

/** What is no known name may be anything that a caller wrote, a secret included. */
function nameOf(operation: string): string {
  return operation === CONNECT || operation === AUTHENTICATE || operationsByName.has(operation as OperationName) ? operation : '';
}

/** Asking for what one may not have; so is a dataset that is not there, or not to the caller's knowledge. */
const DENIALS: ReadonlySet<ErrorCode> = new Set(['unauthenticated', 'forbidden', 'step_up_required']);

const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'unauthenticated',
  'session_expired',
  'session_revoked',
  'forbidden',
  'step_up_required',
  'not_found',
  'rate_limited',
]);

/** What was asked is told up to this length; what is longer was not worth a look. */
const DETAIL_CHARS_MAX = 1_000;

/** Records that what somebody was doing was ended, because they may do it no longer. */
export function recordLoss(trail: AuditTrail, call: Call, reason: CovistaError): void {
  call.isEnded = true;
  trail.record({ ...whoOf(call), operation: nameOf(call.operation), ...placeOf(call, call.input), outcome: reason.code, detail: {} });
}

/** Whether a stream without an end ended by it for want of permission: it looks for itself at every event, and may see it before the hold does. */
export const isLoss = (fault: unknown): fault is CovistaError =>
  fault instanceof CovistaError && (fault.code === 'not_found' || fault.code === 'forbidden');

export function createCallAudit(trail: AuditTrail): CallAudit {
  return {
    failed: (operation, call, error) => {
      if (call.isEnded || !isRecorded(operation, call, error.code)) return;
      const { datasetId, versionId } = placeOf(call, call.input, error.details);
      const isDenial = DENIALS.has(error.code) || (error.code === 'not_found' && !call.isPermitted);
      trail.record({ ...whoOf(call), operation: nameOf(call.operation), datasetId, versionId, outcome: error.code, detail: {} }, isDenial);
    },
    used: (call, input, result) => {
      trail.record({ ...whoOf(call), operation: call.operation, ...placeOf(call, input, result), outcome: 'ok', detail: detailOf(input) });
    },
  };
}

const whoOf = ({ actor, address, requestId }: Call) => ({ actor: actor.subject, address, requestId });

/** What a permitted caller does not find is no refusal, unless the handler is who decides what they may know of. */
function isRecorded(operation: Operation | undefined, call: Call, code: ErrorCode): boolean {
  if (operation?.kind === 'command') return true;
  if (code === 'not_found') return !call.isPermitted || call.access === undefined;
  return REFUSALS.has(code);
}

/** The dataset and version of a call: those that it was permitted for, asked for, or came to. */
function placeOf(call: Call, ...sources: readonly unknown[]): { readonly datasetId: DatasetId | null; readonly versionId: VersionId | null } {
  const datasetId = call.access?.datasetId ?? (firstId('datasetId', sources) as DatasetId | undefined) ?? null;
  return { datasetId, versionId: (firstId('versionId', sources) as VersionId | undefined) ?? null };
}

function firstId(field: string, sources: readonly unknown[]): number | undefined {
  for (const source of sources) {
    const value = (source as Readonly<Record<string, unknown>> | null | undefined)?.[field];
    if (isId(value)) return value;
  }
  return undefined;
}

function detailOf(input: unknown): Record<string, unknown> {
  const { datasetId: _, versionId: __, ...asked } = input as Readonly<Record<string, unknown>>;
  return JSON.stringify(asked).length > DETAIL_CHARS_MAX ? {} : asked;
}
