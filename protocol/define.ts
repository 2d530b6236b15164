import type { z } from 'zod/v4';
import type { ErrorCode } from './errors.ts';
import type { DatasetId } from './ids.ts';

/**
 * `query` changes nothing and may be repeated; `command` changes something and honours idempotency keys; `stream` answers
 * with items until it ends, fails or is cancelled; `channel` is answered and then carries messages both ways until either side
 * ends it.
 */
export type OperationKind = 'query' | 'command' | 'stream' | 'channel';

/** What a caller needs on a dataset, in rising order; each includes the ones before. */
export const PERMISSIONS = ['read', 'write', 'admin'] as const;
export type PermissionLevel = (typeof PERMISSIONS)[number];

/** Who may call an operation, as data: the gateway enforces it before any handler runs. */
export type Permission<Input> =
  | { readonly action: 'public' }
  | { readonly action: 'authenticated' }
  | { readonly action: 'server-admin' }
  | OnDataset<Input>;

/** A method rather than a property, so that operations of different inputs fit into one registry. */
interface OnDataset<Input> {
  readonly action: PermissionLevel;
  /** Null: the input names a thing of one person's own, and the service lets in nobody else. */
  on(input: Input): DatasetId | null;
  /** Of a dataset that was deleted and can be brought back; of others it is as if they were not there. */
  readonly ofDeleted?: true;
}

/**
 * The WebSocket of its own on which a channel can be had, for clients that know nothing of `/rpc`: what follows the prefix is
 * the input field, and the messages are those of the channel.
 */
export interface SocketRoute {
  readonly prefix: `/${string}/`;
  readonly field: string;
}

/**
 * The REST face of an operation. Path parameters are input fields of the same name; the other fields come from the JSON
 * body of POST, PUT and PATCH without `body: 'bytes'`, or else from the query string.
 */
export interface HttpRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: `/api/${string}`;
  readonly status?: 200 | 201 | 204;
  /**
   * How a stream is written: `file` sends the bytes of its items with the head's headers, `ndjson` one item a line. How a value
   * is: `content` sends one that is `{ contentType, content }` as those bytes, any other as JSON.
   */
  readonly response?: 'file' | 'ndjson' | 'content';
  /** Input fields that request headers fill where nothing else does: `accept-encoding` an enumeration, `range` a range of bytes. */
  readonly headers?: Readonly<Record<string, 'accept-encoding' | 'range'>>;
}

/** Whether a part of the file of this route can be had. */
export const takesRanges = ({ headers = {} }: HttpRoute): boolean => Object.values(headers).includes('range');

export interface Example {
  readonly input: unknown;
  readonly output?: unknown;
}

export interface Operation<
  Kind extends OperationKind = OperationKind,
  Input extends z.ZodObject = z.ZodObject,
  Output extends z.ZodType = z.ZodType,
> {
  readonly kind: Kind;
  readonly summary: string;
  readonly input: Input;
  /** The result; of a stream, one item; of a channel, what its opening is answered with. */
  readonly output: Output;
  /** Whether a stream of bytes accompanies the request: a client stream on a socket, the raw body over REST. */
  readonly body?: 'bytes';
  /**
   * Of a command with a body: the SHA-256, in hexadecimal, of the body that led to this result; null where none did. By it a
   * command that is repeated with its idempotency key is told from one of other bytes.
   */
  bodyHash?(input: z.output<Input>, output: z.output<Output>): string | null;
  /**
   * How long the operation may take: `long` (`commitTimeoutMs`, as has everything with a body), `endless` (as long as the
   * caller stays); absent: `operationTimeoutMs`. Of a stream, how long each item may take.
   */
  readonly duration?: 'long' | 'endless';
  /** The errors that are this operation's own, beside those that any request may meet (COMMON_ERRORS). */
  readonly errors: readonly ErrorCode[];
  readonly permission: Permission<z.output<Input>>;
  /** Whether it can do so much harm that, where the settings say how, the caller must have logged in with a second factor. */
  readonly stepUp?: true;
  /**
   * `access`: every use is in the audit, as downloads, exports and opened tables are. A command is marked only where it does not
   * audit its change in a transaction of its own. Refusals of anything, and failures of commands, are audited in any case.
   */
  readonly audit?: 'access';
  readonly http?: HttpRoute;
  readonly socket?: SocketRoute;
  readonly example: Example;
}

/** Declares one operation. A field that the input does not declare is refused, so that a misspelt option is never ignored. */
export function operation<Kind extends OperationKind, Input extends z.ZodObject, Output extends z.ZodType>(
  declaration: Operation<Kind, Input, Output>,
): Operation<Kind, Input, Output> {
  return { ...declaration, input: declaration.input.strict() as unknown as Input };
}

/** Operations of one resource by verb, as each file of `operations/` declares them. */
export type Resource = Readonly<Record<string, Operation>>;
export type Registry = Readonly<Record<string, Resource>>;

export function defineOperations<const R extends Registry>(registry: R): R {
  return registry;
}

/** What a caller may pass, before defaults are filled in. */
export type Input<O> = O extends Operation<OperationKind, infer I, z.ZodType> ? z.input<I> : never;
/** What a handler receives, after validation. */
export type ParsedInput<O> = O extends Operation<OperationKind, infer I, z.ZodType> ? z.output<I> : never;
/** The result, or one item of a stream. */
export type Output<O> = O extends { readonly output: infer S extends z.ZodType } ? z.output<S> : never;

/** Errors that any request may meet. */
export const COMMON_ERRORS: readonly ErrorCode[] = [
  'invalid_input',
  'unauthenticated',
  'forbidden',
  'not_found',
  'rate_limited',
  'cancelled',
  'timeout',
  'draining',
  'unavailable',
  // Of the database as well, to which every command writes and the audit of what is read.
  'storage_full',
  'internal',
];
