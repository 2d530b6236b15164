import type { Fault } from '../../../protocol/documents/index.ts';
import type { ErrorCode } from '../../../protocol/errors.ts';

/** Why an edit is not taken. */
export interface Refused {
  readonly code: ErrorCode;
  readonly fault: Fault;
  /** Whether their copy has what nobody else will ever have, so that it can be put right only by making it anew. */
  readonly rebuild: boolean;
  /** What it cost to put right, of what was taken back. */
  readonly bytes?: number;
}

/** It was taken back, so that their copy becomes what everybody has. */
export const takenBack = (fault: Fault): Refused => ({ code: 'unprocessable_data', fault, rebuild: false });
export const malformed = (message: string): Refused => ({ code: 'unprocessable_data', fault: { rule: 'DOC18', path: [], message }, rebuild: true });
export const tooLarge = (message: string): Refused => ({ code: 'payload_too_large', fault: { rule: 'DOC15', path: [], message }, rebuild: true });
export const foreign = (): Refused => ({
  code: 'forbidden',
  fault: { rule: 'DOC16', path: [], message: 'comes under a Yjs client id that is somebody else’s' },
  rebuild: true,
});
