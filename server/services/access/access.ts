import type { PermissionLevel } from '../../../protocol/define.ts';
import type { DatasetId, GrantId } from '../../../protocol/ids.ts';
import type { Scope } from '../../storage/content-store.ts';

/** What an actor may do on a dataset and see of it, now. */
export interface Access {
  readonly datasetId: DatasetId;
  readonly permission: PermissionLevel;
  readonly scope: Scope;
  /** The grants that it rests on; none for server admins. */
  readonly grantIds: readonly GrantId[];
}
