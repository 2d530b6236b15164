import type { ErrorCode } from './errors.ts';

/**
 * WebSocket close codes (RFC 6455, section 7.4; 4000 to 4999 are for applications). An error frame with the
 * whole story precedes the close wherever the socket still takes one; the code is for logs and for clients that missed it.
 */
export const CLOSE_CODES = {
  normal: 1000,
  goingAway: 1001,
  internal: 1011,
  protocol_error: 4400,
  unauthenticated: 4401,
  session_expired: 4402,
  session_revoked: 4403,
  not_found: 4404,
  timeout: 4408,
  conflict: 4409,
  payload_too_large: 4413,
  invalid_input: 4422,
  unprocessable_data: 4422,
  unsupported_version: 4426,
  rate_limited: 4429,
  forbidden: 4430,
  slow_consumer: 4450,
  unavailable: 4503,
  memory_limit: 4507,
} as const;

/** The code with which an error that ends a connection closes it. */
export function closeCodeOf(code: ErrorCode): number {
  if (code === 'draining') return CLOSE_CODES.goingAway;
  return code in CLOSE_CODES ? CLOSE_CODES[code as keyof typeof CLOSE_CODES] : CLOSE_CODES.internal;
}
