import type { Input, Output } from '../protocol/define.ts';
import { CovistaError } from '../protocol/errors.ts';
import type { Operations } from '../protocol/operations/index.ts';
import type { TableInfo, UploadTableInfo } from '../protocol/operations/table.ts';
import { type PerspectiveClient, type PerspectiveModule, perspectiveClient } from './perspective.ts';
import type { CallOptions, Methods } from './types.ts';

/** A table with a client of Perspective of its own, whose `open_table(tableId)` gives the table. */
export interface OpenedTable extends TableInfo {
  /** Of an upload: whether every row of it could be read. */
  readonly conversion?: UploadTableInfo['conversion'];
  /** Ends with `terminate()`. Throws `unavailable` where `@perspective-dev/client` cannot be loaded. */
  readonly perspective: PerspectiveClient;
}

type OpenInput = Input<Operations['table']['open']> | Input<Operations['table']['openUpload']>;

export interface TableMethods extends Omit<Methods['table'], 'open'> {
  /** Opens a version, or an upload of one's own, as a table; `perspective: false` spares the package of Perspective. */
  open(input: OpenInput, options?: CallOptions & { readonly perspective?: true }): Promise<OpenedTable>;
  open(
    input: OpenInput,
    options: CallOptions & { readonly perspective: false },
  ): Promise<Output<Operations['table']['open']> & Pick<OpenedTable, 'conversion'>>;
}

export function tableMethods(methods: Methods['table'], load: () => Promise<PerspectiveModule>): TableMethods {
  const open = async (input: OpenInput, { perspective = true, ...options }: CallOptions & { readonly perspective?: boolean } = {}) => {
    const info = await ('uploadId' in input ? methods.openUpload(input, options) : methods.open(input, options));
    return perspective ? withClient(info, methods, load) : info;
  };
  return { ...methods, open: open as TableMethods['open'] };
}

/** The client is no part of the answer, so that it does not appear where the answer is printed or compared. */
async function withClient(info: TableInfo, methods: Methods['table'], load: () => Promise<PerspectiveModule>): Promise<OpenedTable> {
  let client: () => PerspectiveClient;
  try {
    const made = await perspectiveClient(await load(), methods, info.tableId);
    client = () => made;
  } catch (fault) {
    if (!(fault instanceof CovistaError)) throw fault;
    client = () => {
      throw fault;
    };
  }
  return Object.defineProperty(info as OpenedTable, 'perspective', { get: client, enumerable: false });
}
