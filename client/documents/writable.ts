import type { CovistaError } from '../../protocol/errors.ts';
import { readOnly } from './line.ts';
import type { DocumentSession } from './session.ts';

/** Why nothing can be changed in a document now; undefined where it can be. */
export function whyNotWritable({ state, opened, name }: DocumentSession): CovistaError | undefined {
  if (state.kind === 'closed') return state.reason;
  return opened?.canWrite === true ? undefined : readOnly(name);
}

export function assertWritable(session: DocumentSession): void {
  const reason = whyNotWritable(session);
  if (reason !== undefined) throw reason;
}
