import type { Access } from '../services/access/access.ts';
import { assert } from '../shared/assert.ts';
import { type Control, isUnrestricted } from '../storage/content-store.ts';
import type { CallContext } from './handler.ts';

/** The access of an operation whose permission names a dataset. */
export function accessOf(context: CallContext): Access {
  assert(context.access !== undefined, 'the operation has a permission on a dataset');
  return context.access;
}

/** Dataset admins may move protected branches. */
export function mayMoveProtected(context: CallContext): boolean {
  return accessOf(context).permission === 'admin';
}

/** How far work has come tells how much there is, so it is told to those only who see everything. */
export function controlOf(context: CallContext): Control {
  const { signal, access } = context;
  if (access !== undefined && !isUnrestricted(access.scope)) return { signal };
  return { signal, onProgress: (progress) => context.progress(progress) };
}
