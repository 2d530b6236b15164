import * as z from 'zod/v4';
import { ERROR_CODES } from '../errors.ts';

/**
 * Messages of a document channel: a variable-length unsigned integer that says which, then its content. 0 to 3 are those of
 * y-websocket; `durable` and `refused` are Covista's and are sent only where the channel was opened over `/rpc`.
 */
export const DOCUMENT_MESSAGE = {
  /** y-protocols/sync: step 1, step 2, update. */
  sync: 0,
  /** y-protocols/awareness, as a length and the update. */
  awareness: 1,
  /** y-protocols/auth: permission denied, with a reason. */
  auth: 2,
  /** Asks for all awareness states. */
  queryAwareness: 3,
  /**
   * To the client: a variable-length unsigned integer, the number of edits (sync messages of step 2 and update) which this channel received
   * since it was opened and that are settled: committed, without effect, or refused. Cumulative and never falling.
   */
  durable: 100,
  /** To the client: a text, the JSON of a refusal. It comes before the `durable` that counts the edit. */
  refused: 101,
} as const;

/** Why an edit was refused. */
export const refusal = z.object({
  edit: z.int().min(1).describe('Which edit of this channel, counted as `durable` counts'),
  code: z.enum(ERROR_CODES as [string, ...string[]]),
  rule: z.string().describe('The rule of SPEC.md that it breaks, such as DOC4'),
  message: z.string(),
  path: z.array(z.union([z.string(), z.number()])).describe('Where in the document'),
  rebuild: z
    .boolean()
    .describe('true: the edit was not taken up, so that a copy which has it can sync no more and must be built anew; false: it was taken back'),
});

export type Refusal = z.output<typeof refusal>;

/** What opening a document channel answers. */
export const documentOpened = z.object({
  documentId: z
    .string()
    .describe('Opaque; another one than before: the name means another document now (deleted, or another scope), and no copy may be merged into it'),
  subject: z.string().describe('Who the caller is, as entries must name their author'),
  canWrite: z.boolean(),
});

export type DocumentOpened = z.output<typeof documentOpened>;
