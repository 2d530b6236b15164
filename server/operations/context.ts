import type { Access } from '../services/access/access.ts';
import { assert } from '../shared/assert.ts';
import type { Control } from '../storage/content-store.ts';
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

export function controlOf(context: CallContext): Control {
  return { signal: context.signal, onProgress: (progress) => context.progress(progress) };
}
