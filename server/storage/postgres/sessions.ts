import { CovistaError } from '../../../protocol/errors.ts';
import type { NewRevocation, Page, Provenance, RevocationRecord, RevocationTarget, SessionStore } from '../stores.ts';
import { type Database, deleteInPieces, type Executor } from './database.ts';
import { EVENT_CHANNEL, REVOKED_NOTICE } from './event-notice.ts';
import { once, record } from './record.ts';
import { pauseRevoked } from './schedule-rows.ts';
import { fragment, sql, tag } from './sql.ts';

const COLUMNS = fragment`r.token_id AS "tokenId", r.subject, r.issued_before AS "issuedBefore", r.expires_at AS "expiresAt", r.reason,
  r.revoked_by AS "revokedBy", r.revoked_at AS "revokedAt"`;

const COUNTS = fragment`NOT r.lifted AND coalesce(r.expires_at > now(), true)`;

/** How long it is known that a revocation was taken back; a server that heard nothing for longer goes on refusing until it starts anew. */
const LIFTED_KEEP = fragment`interval '7 days'`;

type Ticket = Parameters<SessionStore['addTicket']>[0];

export class PostgresSessionStore implements SessionStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  revoke(revocation: NewRevocation, provenance: Provenance): Promise<RevocationRecord> {
    return once(this.#database, provenance, () =>
      this.#database.transaction(async (transaction) => {
        await inOrder(transaction);
        await this.#assertRoom(transaction);
        const output = await upsert(transaction, revocation, provenance);
        await pauseRevoked(transaction, output);
        await transaction.rows(sql`SELECT pg_notify(${EVENT_CHANNEL}, ${REVOKED_NOTICE})`);
        const { revokedAt, revokedBy: _, ...detail } = output;
        await record(transaction, { at: revokedAt }, [{ provenance, datasetId: null, versionId: null, detail, events: [], output }]);
        return output;
      }),
    );
  }

  lift(target: RevocationTarget, provenance: Provenance): Promise<{ readonly lifted: boolean }> {
    return once(this.#database, provenance, () =>
      this.#database.transaction(async (transaction) => {
        await inOrder(transaction);
        const found = await transaction.rows(sql`
          UPDATE revocations r SET lifted = true, sequence = nextval('revocation_sequence'), expires_at = now() + ${LIFTED_KEEP}
          WHERE ${isOf(target)} AND ${COUNTS} RETURNING r.sequence`);
        const output = { lifted: found.length > 0 };
        const { at } = await transaction.one(sql<{ at: string }>`SELECT date_trunc('milliseconds', clock_timestamp()) AS at`);
        await transaction.rows(sql`SELECT pg_notify(${EVENT_CHANNEL}, ${REVOKED_NOTICE})`);
        await record(transaction, { at }, [{ provenance, datasetId: null, versionId: null, detail: { ...target, ...output }, events: [], output }]);
        return output;
      }),
    );
  }

  async revokedAfter(sequence: number, limit: number) {
    const rows = await this.#database.rows(sql<RevocationRecord & { readonly sequence: number; readonly lifted: boolean }>`
      SELECT ${COLUMNS}, r.sequence, r.lifted FROM revocations r
      WHERE r.sequence > ${sequence} AND coalesce(r.expires_at > now(), true) ORDER BY r.sequence LIMIT ${limit}`);
    return [...rows];
  }

  async revocations(target: RevocationTarget, { before = Number.MAX_SAFE_INTEGER, limit }: Page & { readonly before?: number | undefined }) {
    const conditions = target.tokenId === null && target.subject === null ? [] : [isOf(target)];
    const rows = await this.#database.rows(sql<RevocationRecord & { readonly sequence: number }>`
      SELECT ${COLUMNS}, r.sequence FROM revocations r
      WHERE ${tag.join([fragment`r.sequence < ${before}`, COUNTS, ...conditions], fragment` AND `)} ORDER BY r.sequence DESC LIMIT ${limit}`);
    return [...rows];
  }

  async addTicket({ hash, subject, claims, expiresAt }: Ticket): Promise<void> {
    const { ticketsPerSubjectMax } = this.#database.limits;
    await this.#database.rows(sql`DELETE FROM tickets WHERE subject = ${subject} AND expires_at <= now()`);
    const added = await this.#database.first(sql`
      INSERT INTO tickets (hash, subject, claims, expires_at)
      SELECT ${hash}, ${subject}, ${JSON.stringify(claims)}::json, ${expiresAt}::timestamptz
      WHERE (SELECT count(*) FROM tickets WHERE subject = ${subject}) < ${ticketsPerSubjectMax}
      RETURNING hash`);
    if (added) return;
    throw new CovistaError('rate_limited', `you have ${ticketsPerSubjectMax} tickets that were not used`, {
      ticketsPerSubjectMax,
      retryAfterMs: this.#database.limits.ticketKeepMs,
    });
  }

  async takeTicket(hash: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    const taken = await this.#database.first(sql<{ claims: Readonly<Record<string, unknown>>; holds: boolean }>`
      DELETE FROM tickets WHERE hash = ${hash} RETURNING claims, expires_at > now() AS holds`);
    return taken?.holds === true ? taken.claims : undefined;
  }

  async prune(): Promise<void> {
    await this.#prune('tickets');
    await this.#prune('revocations');
  }

  #prune(table: 'tickets' | 'revocations'): Promise<void> {
    const from = table === 'tickets' ? fragment`tickets` : fragment`revocations`;
    return deleteInPieces(
      this.#database,
      (rowsMax) => sql<{ deleted: number }>`
        WITH gone AS (
          DELETE FROM ${from} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${from} WHERE expires_at <= now() LIMIT ${rowsMax})) RETURNING 1
        ) SELECT count(*) AS deleted FROM gone`,
    );
  }

  async #assertRoom(transaction: Executor): Promise<void> {
    const { revocationsMax } = this.#database.limits;
    const { counting } = await transaction.one(sql<{ counting: number }>`SELECT count(*) AS counting FROM revocations r WHERE ${COUNTS}`);
    if (counting < revocationsMax) return;
    const message = `${revocationsMax} revocations count already; say when tokens end, so that their revocations can be forgotten`;
    throw new CovistaError('conflict', message, { revocationsMax });
  }
}

/** One at a time, so that sequences rise in the order of the commits and nobody reads past one that is still to come. */
async function inOrder(transaction: Executor): Promise<void> {
  await transaction.rows(sql`SELECT pg_advisory_xact_lock(hashtextextended('revocations', 0))`);
}

const isOf = ({ tokenId, subject }: RevocationTarget) => (subject === null ? fragment`r.token_id = ${tokenId}` : fragment`r.subject = ${subject}`);

/** A revocation that is made again never becomes narrower or shorter. */
function upsert(transaction: Executor, revocation: NewRevocation, { actor }: Provenance): Promise<RevocationRecord> {
  const { tokenId, subject, issuedBefore, expiresAt, reason } = revocation;
  const target = subject === null ? fragment`token_id` : fragment`subject`;
  return transaction.one(sql<RevocationRecord>`
    INSERT INTO revocations AS r (token_id, subject, issued_before, expires_at, reason, revoked_by, revoked_at)
    SELECT ${tokenId}, ${subject}::text, CASE WHEN ${subject}::text IS NOT NULL THEN coalesce(${issuedBefore}::timestamptz, at) END,
      ${expiresAt}::timestamptz, ${reason}, ${actor}, at
    FROM date_trunc('milliseconds', clock_timestamp()) AS at
    ON CONFLICT (${target}) DO UPDATE SET
      sequence = nextval('revocation_sequence'),
      issued_before = CASE WHEN r.lifted THEN excluded.issued_before ELSE greatest(r.issued_before, excluded.issued_before) END,
      lifted = false,
      expires_at = CASE WHEN r.lifted THEN excluded.expires_at WHEN r.expires_at IS NULL OR excluded.expires_at IS NULL THEN NULL ELSE greatest(r.expires_at, excluded.expires_at) END,
      reason = excluded.reason, revoked_by = excluded.revoked_by, revoked_at = excluded.revoked_at
    RETURNING ${COLUMNS}`);
}
