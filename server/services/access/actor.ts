import type { Subject } from '../../../protocol/ids.ts';

/** Who makes a call, as the verified token says. */
export interface Actor {
  readonly subject: Subject;
  readonly groups: readonly string[];
  readonly serverAdmin: boolean;
  /** All claims of the token. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** When the token ends, in milliseconds since 1970; null: never. */
  readonly expiresAtMs: number | null;
}

/** Of whom nothing is known: what is prepared before somebody asks. */
export const NOBODY: Actor = { subject: '', groups: [], serverAdmin: false, claims: {}, expiresAtMs: null };

/** The principals under which grants apply to an actor. */
export function principalsOf(actor: Actor): string[] {
  return [`user:${actor.subject}`, ...actor.groups.map((group) => `group:${group}`)];
}
