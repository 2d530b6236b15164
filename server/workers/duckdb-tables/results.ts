import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { unlessAborted } from '../../shared/abort.ts';
import { CacheCounts } from '../../shared/cache-counts.ts';
import { canonicalJson } from '../../shared/canonical.ts';
import type { WireViewConfig } from '../../shared/perspective/types.ts';
import type { Session } from '../../storage/parquet/session.ts';
import type { KeptColumns } from './kept-columns.ts';
import { CommonShare, MemoryQuotas } from './memory-quotas.ts';
import { MemoryRoom, MemoryShare, type Room } from './memory-room.ts';
import type { ViewPlan } from './plan.ts';
import type { Queries } from './queries.ts';
import { type Computation, type Query, Result } from './result.ts';
import { ResultShares } from './result-shares.ts';
import type { RowTree } from './row-tree.ts';
import { RowTrees } from './row-trees.ts';
import type { Table } from './table.ts';

/** The beginning of the names of all tables of results. */
export const RESULT_NAME = 'view';

export interface HostedTable {
  /** Tells tables apart. */
  readonly id: number;
  readonly table: Table;
  readonly rows: number;
}

/** What a view asks for; `plan` is what `wire` came to. */
interface Wanted {
  readonly plan: ViewPlan;
  readonly wire: WireViewConfig | null;
}

/** A share in a result, given back once, and what views of one configuration have in common: all but how deep their rows are open. */
export interface ResultLease extends Wanted {
  readonly result: Result;
  /** A tree that its views share; `memory_limit` where there is no room for the holder. */
  openTo(depth: number): Promise<RowTree>;
  /** Where views take the memory that is their own. */
  readonly room: Room;
  release(): void;
}

/** What a character of a configuration takes: in the texts that came, in those of SQL, and in the key. */
const CONFIG_BYTES = 4;

interface Entry extends Wanted {
  readonly key: string;
  readonly name: string;
  readonly controller: AbortController;
  readonly computed: Promise<Result>;
  readonly cells: MemoryShare;
  readonly trees: RowTrees;
  /** What its views have in common of `duckdbTablesViewsBytesMax`. */
  readonly share: CommonShare;
  /** Whether it takes a place; rows as they are in the table are read out of it, and what is kept of them has a bound of its own. */
  readonly isCounted: boolean;
  leases: number;
}

/** Who asks for a result, for as long as the signal does not abort. */
interface Asker {
  readonly holder: string;
  readonly signal: AbortSignal;
}

export interface ResultsParts {
  readonly queries: Queries;
  readonly columns: KeptColumns;
  readonly limits: Limits;
  readonly onFault: (fault: unknown) => void;
}

/**
 * Results by table and configuration: each is computed once and shared by who asks for it. When nobody has it or waits for it any
 * more it is removed, or no longer computed.
 */
export class Results {
  readonly #queries: Queries;
  readonly #columns: KeptColumns;
  readonly #limits: Limits;
  readonly #onFault: (fault: unknown) => void;
  readonly #entries = new Map<string, Entry>();
  readonly #removals = new Set<Promise<void>>();
  readonly #cells: MemoryRoom;
  readonly #quotas: MemoryQuotas;
  readonly #shares: ResultShares;
  /** How often a view was asked for that somebody had already. */
  readonly counts = new CacheCounts();
  #count = 0;

  constructor({ queries, columns, limits, onFault }: ResultsParts) {
    this.#queries = queries;
    this.#columns = columns;
    this.#limits = limits;
    this.#onFault = onFault;
    this.#cells = new MemoryRoom(limits.duckdbTablesCellsBytesMax);
    this.#quotas = new MemoryQuotas(limits.duckdbTablesViewsBytesMax);
    this.#shares = new ResultShares(limits);
  }

  /** How many there are, those that are being removed included. */
  get size(): number {
    return this.#entries.size + this.#removals.size;
  }

  /** Rejects with the reason of the signal for whoever leaves while it is computed. */
  async acquire(hosted: HostedTable, wanted: Wanted, { holder, signal }: Asker): Promise<ResultLease> {
    const entry = this.#entryOf(hosted, wanted, holder);
    entry.leases += 1;
    entry.share.join(holder);
    if (entry.isCounted) this.#shares.take(entry, holder);
    let isHeld = true;
    const release = (): void => {
      if (isHeld) this.#release(entry, holder);
      isHeld = false;
    };
    try {
      const { plan, wire, trees } = entry;
      const result = await unlessAborted(entry.computed, signal);
      return { result, plan, wire, openTo: (depth) => trees.openTo(depth, holder), room: this.#quotas.of(holder), release };
    } catch (fault) {
      release();
      throw fault;
    }
  }

  /** Resolves when what nobody has any more is removed. */
  async settled(): Promise<void> {
    await Promise.all(this.#removals);
  }

  #entryOf(hosted: HostedTable, { plan, wire }: Wanted, holder: string): Entry {
    const key = `${hosted.id} ${keyOf({ plan, wire })}`;
    const known = this.#entries.get(key);
    this.counts.count(known !== undefined);
    if (known !== undefined) return known;
    const isOfTable = plan.isLazy && plan.shape === 'flat';
    if (!isOfTable) this.#shares.assertRoom(holder);
    const share = new CommonShare(this.#quotas);
    if (!share.take(key.length * CONFIG_BYTES, holder)) throw new CovistaError('memory_limit', 'there is no room for so large a view; close others');
    this.#count += 1;
    const name = `${RESULT_NAME}${this.#count}`;
    const controller = new AbortController();
    const cells = new MemoryShare(this.#cells);
    // It reads for all who have the result, and does not end when one of them leaves.
    const shared: Query = (work) => this.#queries.run('interactive', controller.signal, work);
    const { viewColumnsMax: columnsMax, viewBytesMax: bytesMax } = this.#limits;
    const computation = { table: hosted.table, plan, name, tableRows: hosted.rows, columnsMax, bytesMax, room: cells };
    const computed = this.#queries.run(isOfTable ? 'interactive' : 'bulk', controller.signal, (session) =>
      plan.isLazy ? Result.compute(session, { ...computation, source: hosted.table }) : this.#compute(session, hosted, computation),
    );
    const trees = new RowTrees(async () => (await computed).depths(shared), share);
    const entry: Entry = { key, plan, wire, name, controller, computed, cells, trees, share, isCounted: !isOfTable, leases: 0 };
    this.#entries.set(key, entry);
    return entry;
  }

  /** Out of columns that are kept, where they are. */
  async #compute(session: Session, hosted: HostedTable, computation: Omit<Computation, 'source'>): Promise<Result> {
    const { plan } = computation;
    const lease = this.#columns.lease(hosted, plan);
    try {
      return await Result.compute(session, { ...computation, source: lease ?? hosted.table });
    } finally {
      lease?.release();
      if (lease === undefined) this.#columns.used(hosted, plan);
    }
  }

  #release(entry: Entry, holder: string): void {
    entry.leases -= 1;
    entry.share.leave(holder);
    if (entry.isCounted) this.#shares.give(entry, holder);
    if (entry.leases > 0) return;
    this.#entries.delete(entry.key);
    entry.controller.abort(new CovistaError('cancelled', 'nobody waits for the view any more'));
    const removal = this.#remove(entry).catch(this.#onFault);
    this.#removals.add(removal);
    void removal.finally(() => this.#removals.delete(removal));
  }

  async #remove({ computed, name, cells }: Entry): Promise<void> {
    const result = await computed.catch(() => undefined);
    cells.end();
    if (result?.hasTables === false) return;
    await this.#queries.remove((session) => Result.drop(session, name));
  }
}

/** A view tells its sorts and windows as they were given, of which its plan leaves out some and fills in others. */
const keyOf = ({ plan, wire }: Wanted): string => `${plan.key} ${canonicalJson({ sort: wire?.sort ?? [], windows: wire?.windows ?? {} })}`;
