import type { DatasetId } from '../../../protocol/ids.ts';
import type { EventNotice } from '../stores.ts';

/** The channel on which committed transactions tell every server of their events. */
export const EVENT_CHANNEL = 'covista_events';

type Committed = Omit<Extract<EventNotice, { kind: 'events' }>, 'kind'>;

/** `[datasetId, sequence, grantsChanged, versionsChanged, isDeleted]` as JSON: a payload is bounded to 8,000 bytes and travels to every listener. */
export function encodeNotice({ datasetId, sequence, grantsChanged, versionsChanged, isDeleted }: Committed): string {
  return JSON.stringify([datasetId, sequence, grantsChanged, versionsChanged, isDeleted]);
}

/** What a transaction tells that revoked tokens; what was revoked is read from the table, in order. */
export const REVOKED_NOTICE = '["revoked"]';

/** A payload that is not of this form comes from elsewhere and reads as a gap, so that nothing is missed. */
export function decodeNotice(payload: string): EventNotice {
  if (payload === REVOKED_NOTICE) return { kind: 'revoked' };
  const parts = parse(payload);
  if (!Array.isArray(parts)) return { kind: 'gap' };
  const [datasetId, sequence, grantsChanged, versionsChanged, isDeleted] = parts as unknown[];
  if (!Number.isInteger(datasetId) || !Number.isSafeInteger(sequence)) return { kind: 'gap' };
  if ([grantsChanged, versionsChanged, isDeleted].some((flag) => typeof flag !== 'boolean')) return { kind: 'gap' };
  const flags = { grantsChanged, versionsChanged, isDeleted } as Pick<Committed, 'grantsChanged' | 'versionsChanged' | 'isDeleted'>;
  return { kind: 'events', datasetId: datasetId as DatasetId, sequence: sequence as number, ...flags };
}

function parse(payload: string): unknown {
  try {
    return JSON.parse(payload);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
