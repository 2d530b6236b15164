import { CovistaError } from '../../../protocol/errors.ts';
import type { MemoryShare } from './memory-room.ts';
import { RowTree } from './row-tree.ts';

export const noRoomForRows = (): CovistaError =>
  new CovistaError('memory_limit', 'there is no room to remember which rows are open; close some views, or open the rows of others');

/** Trees of one result that are open to a depth, which all of its views share. They are made when the first asks for them. */
export class RowTrees {
  readonly #read: () => Promise<Uint8Array>;
  readonly #share: MemoryShare;
  readonly #trees = new Map<number, RowTree>();
  #depths: Promise<Uint8Array> | undefined;

  /** `read` tells how deep each row is, in memory that `share` has room for. */
  constructor(read: () => Promise<Uint8Array>, share: MemoryShare) {
    this.#read = read;
    this.#share = share;
  }

  /** `memory_limit` where there is no room. */
  async openTo(depth: number): Promise<RowTree> {
    const depths = await this.#sharedDepths();
    const known = this.#trees.get(depth);
    if (known !== undefined) return known;
    const tree = RowTree.openTo(depths, depth);
    if (!this.#share.take(tree.rows.bytes)) throw noRoomForRows();
    this.#trees.set(depth, tree);
    return tree;
  }

  #sharedDepths(): Promise<Uint8Array> {
    this.#depths ??= this.#read().then((depths) => {
      if (!this.#share.take(depths.byteLength)) throw noRoomForRows();
      return depths;
    });
    // A failed read is not what later views should find.
    this.#depths.catch(() => {
      this.#depths = undefined;
    });
    return this.#depths;
  }
}
