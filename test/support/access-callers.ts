import type { PermissionLevel } from '../../protocol/define.ts';
import type { OperationName } from '../../protocol/operations/index.ts';
import type { TokenRequest } from '../../server/gateway/mint.ts';
import { NEEDS } from './world.ts';

/** Who asks in the matrix of access, and what they were granted. */
export interface Caller {
  readonly token: Partial<TokenRequest> & { readonly subject: string };
  /** What the grants give; absent: nothing. */
  readonly level?: PermissionLevel;
  /** Whether the grant shows a part only. */
  readonly isRestricted?: true;
}

const inGroups = (...groups: string[]): Partial<TokenRequest> => ({ claims: { groups } });

export const CALLERS: Readonly<Record<string, Caller>> = {
  'a stranger': { token: { subject: 'stranger' } },
  'a reader': { token: { subject: 'reader' }, level: 'read' },
  'a reader of some rows': { token: { subject: 'filtered' }, level: 'read', isRestricted: true },
  'a reader of some columns': { token: { subject: 'masked' }, level: 'read', isRestricted: true },
  'a writer': { token: { subject: 'writer' }, level: 'write' },
  'an admin of the dataset': { token: { subject: 'chief' }, level: 'admin' },
  'a server admin without a grant': { token: { subject: 'operator', admin: true }, level: 'admin' },
  'somebody whose grant has ended': { token: { subject: 'former' } },
  'somebody whose grant has not begun': { token: { subject: 'future' } },
  'somebody whose higher grant has ended': { token: { subject: 'demoted' }, level: 'read' },
  'a member of a reading group': { token: { subject: 'member', ...inGroups('team-a', 'team-b') }, level: 'read' },
  'a member of a writing group with a reading grant': { token: { subject: 'reader', ...inGroups('team-w') }, level: 'write' },
  'a member of a group of another name': { token: { subject: 'other', ...inGroups('team', 'TEAM-B', 'user:reader') } },
  'somebody named like a group': { token: { subject: 'team-b' } },
};

const HOUR_MS = 3_600_000;
const past = new Date(Date.now() - HOUR_MS).toISOString();
const future = new Date(Date.now() + 24 * HOUR_MS).toISOString();

export interface GivenGrant {
  readonly principal: string;
  readonly permission: PermissionLevel;
  readonly validFrom?: string;
  readonly validUntil?: string;
  readonly rowFilter?: string;
  readonly columnMask?: readonly string[];
}

export const GRANTS: readonly GivenGrant[] = [
  { principal: 'user:reader', permission: 'read' },
  { principal: 'user:filtered', permission: 'read', rowFilter: 'price > 50' },
  { principal: 'user:masked', permission: 'read', columnMask: ['price'] },
  { principal: 'user:writer', permission: 'write' },
  { principal: 'user:chief', permission: 'admin' },
  { principal: 'user:former', permission: 'admin', validUntil: past },
  { principal: 'user:future', permission: 'admin', validFrom: future },
  { principal: 'user:demoted', permission: 'admin', validFrom: new Date(0).toISOString(), validUntil: past },
  { principal: 'user:demoted', permission: 'read', validUntil: future },
  { principal: 'group:team-b', permission: 'read' },
  { principal: 'group:team-w', permission: 'write' },
];

/** Those that can be given in the world of an operation: without a version there is nothing to restrict. */
export function grantsIn(name: OperationName, grants: readonly GivenGrant[] = GRANTS): GivenGrant[] {
  if (NEEDS[name].without !== 'versions') return [...grants];
  return grants.map(({ rowFilter: _, columnMask: __, ...grant }) => grant);
}

export function grantsOf({ token: { subject, claims } }: Caller): GivenGrant[] {
  const principals = [`user:${subject}`, ...((claims?.groups ?? []) as string[]).map((group) => `group:${group}`)];
  return GRANTS.filter(({ principal }) => principals.includes(principal));
}
