import { CovistaError } from '../../protocol/errors.ts';
import type { Actor } from '../services/access/actor.ts';

/** What counts as a login of more than one factor (RFC 8176 `amr`, OpenID Connect `acr`); nothing: no operation asks for it. */
export interface StepUp {
  readonly amr: readonly string[];
  readonly acr: readonly string[];
}

/** Throws `step_up_required` unless the token says that its holder logged in in one of the ways that are accepted. */
export function assertSteppedUp({ claims }: Actor, { amr, acr }: StepUp): void {
  if (amr.length === 0 && acr.length === 0) return;
  if (Array.isArray(claims.amr) && claims.amr.some((method) => amr.includes(method))) return;
  if (typeof claims.acr === 'string' && acr.includes(claims.acr)) return;
  throw new CovistaError('step_up_required', 'this needs a token of a stronger login; log in again with another factor', { amr, acr });
}
