import type { DocumentOpened, DocumentSubject } from '../../../protocol/documents/index.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { assert } from '../../shared/assert.ts';
import { CacheCounts } from '../../shared/cache-counts.ts';
import type { Opening } from '../../shared/channel.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { KeyedMutex } from '../../shared/mutex.ts';
import type { Lateness } from '../../shared/promptness.ts';
import type { BindingRecord, DocumentStore, DocumentTarget, Page, StoredDocument } from '../../storage/stores.ts';
import type { Access } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import type { Authorizer } from '../access/authorizer.ts';
import { Allowances } from './allowance.ts';
import { Compaction, type DocumentStates } from './compaction.ts';
import { DocumentChannel } from './document-channel.ts';
import { createHistory, type DocumentHistory } from './document-history.ts';
import { DocumentLeases } from './document-leases.ts';
import { type DocumentRequest, isSameFor, type Resolved, resolve, type WithDocument } from './document-request.ts';
import { LiveDocument, type LiveDocumentOptions } from './live-document.ts';
import { createPublications, type PublicationSources, type Publications } from './publications.ts';

export interface Documents extends DocumentHistory, Publications {
  open(request: OpenRequest): Promise<Opening<DocumentOpened>>;
  /** Whose edits those of its client ids are; none where the document was never opened. */
  attribution(request: DocumentRequest, page: Page & { readonly after?: number | undefined }): Promise<BindingRecord[]>;
  /** What is open on this server. */
  readonly counts: DocumentCounts;
  /** How often an answer to a copy was made before. */
  readonly answers: CacheCounts;
  /** How late each of their jobs is. */
  readonly jobs: Readonly<Record<'document_compaction' | 'document_leases', Lateness>>;
  /** Writes what waits and gives every document up. */
  close(): Promise<void>;
}

/** To open a document for as long as a channel lasts. */
export interface OpenRequest extends DocumentRequest {
  readonly receipts: boolean;
  /** The connection that the channel is on. */
  readonly connection: object;
  /** Calls back when the session of the channel has another token. */
  whenRenewed(listener: (actor: Actor) => void): void;
}

export interface DocumentCounts {
  readonly documents: number;
  readonly channels: number;
}

export interface DocumentsOptions extends PublicationSources {
  readonly store: DocumentStore;
  readonly states: DocumentStates;
  readonly authorizer: Pick<Authorizer, 'hold'>;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Entry {
  readonly document: LiveDocument;
  /** Openings that were neither attached nor abandoned, and channels. */
  uses: number;
  idle: NodeJS.Timeout | undefined;
}

const SWEEPS_PER_KEEPING = 3;
const NEW: StoredDocument = { state: null, batches: [], bindings: [], told: [] };

export function createDocuments(options: DocumentsOptions): Documents {
  const host = new DocumentHost(options);
  const withDocument: WithDocument = (resolved, work) => host.withDocument(resolved, work);
  return {
    ...createHistory({ ...options, withDocument }),
    ...createPublications({ ...options, withDocument }),
    open: (request) => host.open(request),
    attribution: (request, page) => host.attribution(request, page),
    close: () => host.close(),
    jobs: host.jobs,
    answers: host.answers,
    get counts() {
      return host.counts;
    },
  };
}

/** Documents that are open on this server. */
class DocumentHost implements Omit<Documents, keyof DocumentHistory | keyof Publications> {
  readonly #options: DocumentsOptions;
  readonly jobs: Documents['jobs'];
  readonly #compaction: Compaction;
  readonly #entries = new Map<string, Entry>();
  readonly answers = new CacheCounts();
  /** Opening and unloading of a document exclude each other. */
  readonly #mutex = new KeyedMutex<string>();
  readonly #allowances = new WeakMap<object, Allowances>();
  readonly #timers: readonly NodeJS.Timeout[];
  readonly #leases: DocumentLeases;

  constructor(options: DocumentsOptions) {
    this.#options = options;
    this.#compaction = new Compaction(options);
    this.#leases = new DocumentLeases(options);
    this.jobs = { document_compaction: this.#compaction, document_leases: this.#leases.lateness };
    const every = (intervalMs: number, run: () => void): NodeJS.Timeout => setInterval(run, intervalMs).unref();
    const sweepEveryMs = options.limits.awarenessKeepMs / SWEEPS_PER_KEEPING;
    this.#timers = [every(this.#leases.renewEveryMs, () => void this.#renew()), every(sweepEveryMs, () => this.#sweep())];
  }

  async open({ receipts, connection, whenRenewed, ...request }: OpenRequest): Promise<Opening<DocumentOpened>> {
    const { target, kind, canWrite, isVisitor } = await resolve(request, this.#options.store);
    const entry = await this.#use(target, kind);
    const { document } = entry;
    const { actor, access } = request;
    const { limits, clock, authorizer } = this.#options;
    return {
      opened: { documentId: document.lease.documentId, subject: actor.subject, canWrite },
      abandon: () => this.#release(entry),
      attach: (peer) => {
        let letGo = (): void => undefined;
        let isClosed = false;
        const onClosed = (): void => {
          isClosed = true;
          letGo();
          this.#release(entry);
        };
        const allowances = this.#allowancesOf(connection);
        const own = { subject: actor.subject, canWrite, isVisitor, receipts, allowances };
        const channel = new DocumentChannel({ document, peer, ...own, limits, clock, onClosed });
        if (document.isLost) channel.end(new CovistaError('unavailable', 'the document was given up just now; open it again'));
        else channel.begin();
        if (access !== undefined) {
          const isAsBefore = (now: Access): boolean => isSameFor(access, now);
          // That it may be read no longer is told by the gateway, which keeps a record of it.
          const onLost = (reason: CovistaError): void => {
            if (reason.code === 'unavailable' || (canWrite && reason.code === 'forbidden')) channel.end(reason);
          };
          const hold = (holder: Actor): void => {
            letGo();
            letGo = authorizer.hold({ actor: holder, level: canWrite ? 'write' : 'read', access, followsScope: true, isAsBefore, onLost });
          };
          hold(actor);
          whenRenewed((renewed) => {
            if (!isClosed) hold(renewed);
          });
        }
        return channel;
      },
    };
  }

  #allowancesOf(connection: object): Allowances {
    const allowances = this.#allowances.get(connection) ?? new Allowances(this.#options.limits);
    this.#allowances.set(connection, allowances);
    return allowances;
  }

  async attribution(request: DocumentRequest, page: Page & { readonly after?: number | undefined }): Promise<BindingRecord[]> {
    const documentId = await this.#options.store.find((await resolve(request, this.#options.store)).target.name);
    return documentId === undefined ? [] : this.#options.store.bindings(documentId, page);
  }

  /** Opens a document for as long as some work with it takes. */
  async withDocument<Result>(
    { target, kind }: Pick<Resolved, 'target' | 'kind'>,
    work: (document: LiveDocument) => Promise<Result>,
  ): Promise<Result> {
    const entry = await this.#use(target, kind);
    try {
      return await work(entry.document);
    } finally {
      this.#release(entry);
    }
  }

  get counts(): DocumentCounts {
    let channels = 0;
    for (const { uses } of this.#entries.values()) channels += uses;
    return { documents: this.#entries.size, channels };
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#compaction.idle();
    await Promise.all([...this.#entries].map(([name, entry]) => this.#mutex.run(name, () => this.#unload(entry))));
  }

  /** The open document, or opens it; it stays for as long as it is used. */
  #use(target: DocumentTarget, kind: DocumentSubject['kind']): Promise<Entry> {
    return this.#mutex.run(target.name, async () => {
      const entry = this.#entries.get(target.name) ?? (await this.#load(target, kind));
      const { documentConnectionsMax } = this.#options.limits;
      if (entry.uses >= documentConnectionsMax) {
        throw new CovistaError('rate_limited', `at most ${documentConnectionsMax} channels of one document can be open`, {
          documentConnectionsMax,
          retryAfterMs: 10_000,
        });
      }
      entry.uses += 1;
      clearTimeout(entry.idle);
      return entry;
    });
  }

  async #load(target: DocumentTarget, kind: DocumentSubject['kind']): Promise<Entry> {
    const { store, limits, clock, log } = this.#options;
    const { name } = target;
    const { documentsOpenMax } = limits;
    if (this.#entries.size >= documentsOpenMax) {
      throw new CovistaError('unavailable', 'too many documents are open on this server', { documentsOpenMax });
    }
    const lease = await this.#leases.acquire(target);
    const onLost = (): void => this.#lost(entry);
    const onGrown = (): void => void this.#compaction.request(entry.document);
    const own = { name, kind, lease, store, limits, answers: this.answers, clock, log, onLost, onGrown };
    const document = await this.#make(own);
    const entry: Entry = { document, uses: 0, idle: undefined };
    this.#entries.set(name, entry);
    return entry;
  }

  /** What cannot be opened here is left to other servers. */
  async #make(options: Omit<LiveDocumentOptions, 'stored'>): Promise<LiveDocument> {
    const { lease } = options;
    try {
      // Its first owner has just made it.
      return new LiveDocument({ ...options, stored: lease.fence === 1 ? NEW : await this.#options.store.load(lease.documentId) });
    } catch (error) {
      await this.#leases.giveUp(options);
      throw error;
    }
  }

  #release(entry: Entry): void {
    entry.uses -= 1;
    assert(entry.uses >= 0, 'a document is released as often as it was used');
    if (entry.uses > 0 || entry.document.isLost) return;
    const { document } = entry;
    const unload = async (): Promise<void> => {
      // The next one to open it has little to replay; whoever comes meanwhile waits for nothing.
      if (document.logBatches > 0) await this.#compaction.request(document);
      await this.#mutex.run(document.name, async () => {
        if (entry.uses === 0 && entry.idle === idle) await this.#unload(entry);
      });
    };
    const idle = setTimeout(() => void unload(), this.#options.limits.documentIdleMs).unref();
    entry.idle = idle;
  }

  async #unload(entry: Entry): Promise<void> {
    const { document } = entry;
    clearTimeout(entry.idle);
    await document.log.idle();
    if (this.#entries.get(document.name) !== entry) return;
    this.#entries.delete(document.name);
    this.#compaction.forget(document);
    document.destroy();
    await this.#leases.giveUp(document);
  }

  /** Whoever comes next loads it anew. */
  #lost(entry: Entry): void {
    const { document } = entry;
    clearTimeout(entry.idle);
    if (this.#entries.get(document.name) === entry) this.#entries.delete(document.name);
    this.#compaction.forget(document);
    void this.#mutex.run(document.name, () => this.#leases.giveUp(document));
  }

  async #renew(): Promise<void> {
    const documents = [...this.#entries.values()].map(({ document }) => document);
    await this.#leases.renew(documents, (document) => this.#entries.get(document.name)?.document === document);
  }

  #sweep(): void {
    for (const { document } of this.#entries.values()) document.rounds.change(document.presence.sweep());
  }
}
