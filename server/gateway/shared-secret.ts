import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { decodeProtectedHeader, errors, type JWTClaimVerificationOptions, type JWTPayload, UnsecuredJWT } from 'jose';

const ALGORITHM = 'HS256';
/** The head of a token that nobody signed, under which `jose` judges the claims of one whose signature holds. */
const UNSIGNED = Buffer.from('{"alg":"none"}').toString('base64url');

/**
 * Reads tokens that a shared secret signed (RFC 7515, HS256), and throws the errors of `jose` for all others. `jose` itself has each
 * signature checked by a thread of the pool, which takes ten times as long as the check: after a restart everybody's token is new.
 */
export function sharedSecretVerifier(secret: string): (token: string, options: JWTClaimVerificationOptions) => JWTPayload {
  const key = createSecretKey(secret, 'utf8');
  return (token, options) => {
    const [head, payload, signature, ...rest] = token.split('.');
    if (head === undefined || payload === undefined || signature === undefined || rest.length > 0) throw new errors.JWSInvalid();
    assertHeader(token);
    const expected = createHmac('sha256', key).update(`${head}.${payload}`).digest('base64url');
    if (!isSame(signature, expected)) throw new errors.JWSSignatureVerificationFailed();
    return UnsecuredJWT.decode(`${UNSIGNED}.${payload}.`, options).payload;
  };
}

/** What a header asks to be understood, and is not known here, must not be passed over. */
function assertHeader(token: string): void {
  let header: ReturnType<typeof decodeProtectedHeader>;
  try {
    header = decodeProtectedHeader(token);
  } catch (cause) {
    throw new errors.JWSInvalid(undefined, { cause });
  }
  if (header.crit !== undefined || header.b64 !== undefined) throw new errors.JOSENotSupported();
  if (header.alg !== ALGORITHM) throw new errors.JOSEAlgNotAllowed();
}

/** As texts: of the ways to write the same bytes one only is accepted. */
function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}
