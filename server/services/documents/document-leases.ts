import { randomUUID } from 'node:crypto';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { Clock } from '../../shared/clock.ts';
import { Gathering } from '../../shared/gathering.ts';
import type { Logger } from '../../shared/log.ts';
import { type Lateness, Promptness } from '../../shared/promptness.ts';
import type { DocumentLease, DocumentOwner, DocumentStore, DocumentTarget, ReleasedLease } from '../../storage/stores.ts';
import type { LiveDocument } from './live-document.ts';

export interface DocumentLeasesOptions {
  readonly store: Pick<DocumentStore, 'acquire' | 'renew' | 'release'>;
  readonly limits: Pick<Limits, 'documentLeaseMs' | 'documentsAtOnceMax'>;
  readonly clock: Clock;
  readonly log: Logger;
}

const RENEWALS_PER_LEASE = 3;

/** Which documents this server may write, of which no other one may any meanwhile. */
export class DocumentLeases {
  readonly #options: DocumentLeasesOptions;
  readonly #owner: DocumentOwner;
  readonly #renewal: Promptness;
  readonly #acquisitions: Gathering<DocumentTarget, DocumentLease | undefined>;
  readonly #releases: Gathering<ReleasedLease, void>;

  constructor(options: DocumentLeasesOptions) {
    this.#options = options;
    const { store, limits, clock } = options;
    const { documentLeaseMs: leaseMs, documentsAtOnceMax: questionsMax } = limits;
    this.#owner = { serverId: randomUUID(), leaseMs };
    this.#renewal = new Promptness(clock, this.renewEveryMs);
    this.#acquisitions = new Gathering({ ask: (targets) => store.acquire(targets, this.#owner), questionsMax });
    this.#releases = new Gathering({ ask: (leases) => store.release(leases).then(() => leases.map(() => undefined)), questionsMax });
  }

  get renewEveryMs(): number {
    return this.#options.limits.documentLeaseMs / RENEWALS_PER_LEASE;
  }

  get lateness(): Lateness {
    return this.#renewal;
  }

  async acquire(target: DocumentTarget): Promise<DocumentLease> {
    const lease = await this.#acquisitions.ask(target);
    if (lease !== undefined) return lease;
    throw new CovistaError('unavailable', 'another server has the document open', { retryAfterMs: this.#options.limits.documentLeaseMs });
  }

  /** A lease that cannot be given back ends by itself. */
  async giveUp({ lease, name, clients }: Pick<LiveDocument, 'lease' | 'name'> & Partial<Pick<LiveDocument, 'clients'>>): Promise<void> {
    try {
      await this.#releases.ask({ ...lease, told: clients?.toldToStore });
    } catch (err) {
      this.#options.log.warn({ err, document: name }, 'the lease of a document could not be given back');
    }
  }

  /** Keeps those of documents, of which it gives up what others have taken, unless it is open here no longer. */
  async renew(documents: readonly LiveDocument[], isOpen: (document: LiveDocument) => boolean): Promise<void> {
    const leases = documents.map(({ lease }) => lease);
    try {
      const lost = new Set(leases.length === 0 ? [] : await this.#options.store.renew(leases, this.#owner));
      this.#renewal.done();
      for (const document of documents) {
        // Meanwhile it may have been given back, and opened again with another lease.
        const isTaken = lost.has(document.lease.documentId) && isOpen(document);
        if (isTaken) document.lose(new CovistaError('unavailable', 'another server has taken the document over'));
      }
    } catch (err) {
      // Writing is fenced, so that a lease that has ended does no harm.
      this.#options.log.warn({ err }, 'the leases of documents could not be renewed');
    }
  }
}
