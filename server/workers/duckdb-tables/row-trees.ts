import { CovistaError } from '../../../protocol/errors.ts';
import type { CommonShare } from './memory-quotas.ts';
import { RowTree } from './row-tree.ts';

export const noRoomForRows = (): CovistaError =>
  new CovistaError('memory_limit', 'there is no room to remember which rows are open; close some views, or open the rows of others');

/** Trees of one result that are open to a depth, which all of its views share. They are made when the first asks for them. */
export class RowTrees {
  readonly #read: () => Promise<Uint8Array>;
  readonly #share: CommonShare;
  readonly #trees = new Map<number, RowTree>();
  #reading: Promise<Uint8Array> | undefined;
  /** undefined: nobody had room for them yet. */
  #depths: Uint8Array | undefined;

  /** `read` tells how deep each row is, in memory that `share` has room for. */
  constructor(read: () => Promise<Uint8Array>, share: CommonShare) {
    this.#read = read;
    this.#share = share;
  }

  /** `memory_limit` where there is no room for the holder, which keeps nobody else from finding some. */
  async openTo(depth: number, holder: string): Promise<RowTree> {
    const read = this.#depths ?? (await this.#readForAll());
    const known = this.#trees.get(depth);
    if (known !== undefined) return known;
    // Others who waited may have found room for depths before.
    const depths = this.#depths ?? read;
    const tree = RowTree.openTo(depths, depth);
    const bytes = tree.rows.bytes + (this.#depths === undefined ? depths.byteLength : 0);
    if (!this.#share.take(bytes, holder)) throw noRoomForRows();
    this.#depths = depths;
    this.#trees.set(depth, tree);
    return tree;
  }

  #readForAll(): Promise<Uint8Array> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }
}
