/**
 * The closed table of errors. A code carries its own recovery: which HTTP status it maps to, whether repeating the same
 * request can help, and whether the socket that caused it is closed. Text is for people and is never matched on.
 */
export interface ErrorKind {
  readonly meaning: string;
  readonly status: number;
  /** `never`: the same request fails again. `later`: it may succeed unchanged. `fresh`: after the caller refreshed something. */
  readonly retry: 'never' | 'later' | 'fresh';
  /** Whether the connection is closed after the error was sent. */
  readonly closes: boolean;
}

export const ERRORS = {
  invalid_input: { meaning: 'The input breaks a rule of the operation; details name where', status: 400, retry: 'never', closes: false },
  unauthenticated: { meaning: 'No token, or one that is not accepted', status: 401, retry: 'fresh', closes: false },
  session_expired: { meaning: 'The token of this connection has expired', status: 401, retry: 'fresh', closes: true },
  session_revoked: { meaning: 'The token of this connection or stream was revoked', status: 401, retry: 'fresh', closes: true },
  forbidden: { meaning: 'The caller may not do this', status: 403, retry: 'never', closes: false },
  step_up_required: { meaning: 'The token must come from a login with a second factor', status: 403, retry: 'fresh', closes: false },
  not_found: { meaning: 'There is no such thing, or none that the caller may know of', status: 404, retry: 'never', closes: false },
  unknown_operation: { meaning: 'The protocol has no operation or path of this name', status: 404, retry: 'never', closes: false },
  method_not_allowed: { meaning: 'The path exists, but not for this HTTP method', status: 405, retry: 'never', closes: false },
  conflict: { meaning: 'The state is not what the request expected; details carry the actual state', status: 409, retry: 'fresh', closes: false },
  payload_too_large: { meaning: 'A body, frame or upload is larger than its limit', status: 413, retry: 'never', closes: false },
  range_not_satisfiable: { meaning: 'The range lies outside of the file', status: 416, retry: 'never', closes: false },
  unprocessable_data: {
    meaning: 'The data cannot be used for this; details say what is wrong and where',
    status: 422,
    retry: 'never',
    closes: false,
  },
  rate_limited: { meaning: 'Too many requests at once or in a period', status: 429, retry: 'later', closes: false },
  cancelled: { meaning: 'The caller cancelled the request', status: 499, retry: 'never', closes: false },
  internal: { meaning: 'A fault of the server; the log has it under the request id', status: 500, retry: 'later', closes: false },
  memory_limit: { meaning: 'The server has no memory left for this', status: 503, retry: 'later', closes: false },
  draining: { meaning: 'The server is stopping and takes no new work', status: 503, retry: 'later', closes: false },
  unavailable: { meaning: 'Something that the server depends on does not answer', status: 503, retry: 'later', closes: false },
  timeout: { meaning: 'The operation took longer than it may', status: 504, retry: 'later', closes: false },
  storage_full: { meaning: 'There is no room to store this', status: 507, retry: 'later', closes: false },
  protocol_error: { meaning: 'A frame that the protocol does not allow here', status: 400, retry: 'never', closes: true },
  unsupported_version: { meaning: 'The protocol versions of client and server do not meet', status: 400, retry: 'never', closes: true },
  slow_consumer: { meaning: 'The reader fell behind further than the server buffers', status: 408, retry: 'later', closes: true },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

export const ERROR_CODES = Object.keys(ERRORS) as readonly ErrorCode[];

export type ErrorDetails = Readonly<Record<string, unknown>>;

/** The one error type that crosses module boundaries and the wire. Anything else that is thrown is a fault (`internal`). */
export class CovistaError extends Error {
  override readonly name = 'CovistaError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }
}

/** An error as the wire and REST carry it. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

export function errorBody(error: CovistaError): ErrorBody {
  return { code: error.code, message: error.message, details: error.details };
}

/** Rebuilds an error from the wire; a code of a newer protocol reads as `internal`. */
export function errorFromBody(body: { code: string; message: string; details?: ErrorDetails }): CovistaError {
  const code = body.code in ERRORS ? (body.code as ErrorCode) : 'internal';
  return new CovistaError(code, body.message, body.details ?? {});
}
