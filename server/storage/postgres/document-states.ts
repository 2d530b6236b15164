import { Turns } from '../../shared/turns.ts';
import type { Database, Executor } from './database.ts';
import { binary, fragment, sql } from './sql.ts';

/**
 * States of documents, of many MiB, on their way from and to the database. Such a value as a whole would hold up the loop, which makes a
 * text of it, reads that, and copies: so it goes in pieces, between which others have their turn.
 */

type Fragment = ReturnType<typeof fragment>;

const PIECE_BYTES = 256 * 1024;

interface Piece {
  readonly key: number;
  readonly bytes: number;
  readonly begins: number;
  readonly piece: string;
}

/** Of the one row that is selected, its `state` and what it calls `key`; all of it is as it was at one time. */
export async function readState(executor: Executor, selected: Fragment): Promise<{ readonly key: number; readonly state: Uint8Array } | undefined> {
  // Something is put behind the value, though nothing, to have the database unpack it once and not for each piece. Of the texts of bytes
  // Base64 is read twenty times as fast as the hexadecimal digits that they come as otherwise.
  const pieces = await executor.rows(sql<Piece>`
    WITH selected AS MATERIALIZED (SELECT key, state || ''::bytea AS state FROM (${selected}) AS found)
    SELECT key, length(state) AS bytes, begins, encode(substring(state FROM begins FOR ${PIECE_BYTES}::integer), 'base64') AS piece
    FROM selected, generate_series(1, greatest(1, length(state)), ${PIECE_BYTES}::integer) AS begins`);
  const [first] = pieces;
  if (first === undefined) return undefined;
  const state = new Uint8Array(first.bytes);
  const turns = new Turns();
  for (const { begins, piece } of pieces) {
    if (turns.over) await turns.next();
    state.set(Buffer.from(piece, 'base64'), begins - 1);
  }
  return { key: first.key, state };
}

/** Sends a state for a statement of the transaction, which has it as what this answers with. */
export async function sendState(transaction: Executor, state: Uint8Array): Promise<Fragment> {
  if (state.length <= PIECE_BYTES) return fragment`${binary(state)}`;
  await transaction.rows(sql`CREATE TEMPORARY TABLE state_pieces (begins integer, piece bytea) ON COMMIT DROP`);
  for (let begins = 0; begins < state.length; begins += PIECE_BYTES) {
    const piece = state.subarray(begins, begins + PIECE_BYTES);
    await transaction.rows(sql`INSERT INTO state_pieces (begins, piece) VALUES (${begins}, ${binary(piece)})`);
  }
  return fragment`(SELECT string_agg(piece, ''::bytea ORDER BY begins) FROM state_pieces)`;
}

/** Does something with a state that is sent, in a transaction if it has to go in pieces. */
export function withState<Result>(
  database: Database,
  state: Uint8Array,
  work: (executor: Executor, sent: Fragment) => Promise<Result>,
): Promise<Result> {
  if (state.length <= PIECE_BYTES) return work(database, fragment`${binary(state)}`);
  return database.transaction(async (transaction) => work(transaction, await sendState(transaction, state)));
}
