import type { z } from 'zod/v4';
import type { Operation } from '../../protocol/define.ts';
import { CovistaError } from '../../protocol/errors.ts';
import type { Call } from './call.ts';

/** Issues that an error lists; a caller who made more mistakes starts with these. */
const ISSUES_MAX = 20;
const MESSAGE_CHARS_MAX = 300;

/** The input with defaults filled in; throws `invalid_input` with `details.issues: [{ path, message }]`. */
export function validate(operation: Operation, { input, body }: Call): unknown {
  if (body !== undefined && operation.body === undefined) throw new CovistaError('invalid_input', 'this operation takes no body');
  const parsed = operation.input.safeParse(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, ISSUES_MAX).map(describe);
  const first = issues[0];
  throw new CovistaError('invalid_input', first === undefined ? 'the input is not valid' : `${first.path || 'input'}: ${first.message}`, { issues });
}

function describe({ path, message }: z.core.$ZodIssue): { path: string; message: string } {
  const at = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  return { path: at.replace(/^\./, '').slice(0, MESSAGE_CHARS_MAX), message: message.slice(0, MESSAGE_CHARS_MAX) };
}
