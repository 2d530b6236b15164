import { randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT } from 'jose';

export interface TokenRequest {
  readonly subject: string;
  readonly admin?: boolean;
  /** Claims beside `sub` and `covista_admin`, such as `groups`. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** How long the token holds; absent: it never ends. */
  readonly ttlMs?: number;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
}

/** Signs a token (HS256) that a server with the same secret accepts. */
export async function mintToken(secret: string, request: TokenRequest): Promise<string> {
  const nowMs = Date.now();
  const token = new SignJWT({ ...request.claims, ...(request.admin === true ? { covista_admin: true } : {}) })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(request.subject)
    // To the millisecond, so that a token made right after a revocation is known to be newer.
    .setIssuedAt(nowMs / 1000)
    .setJti(randomUUID());
  if (request.ttlMs !== undefined) token.setExpirationTime(Math.floor(nowMs / 1000) + Math.ceil(request.ttlMs / 1000));
  if (request.issuer !== undefined) token.setIssuer(request.issuer);
  if (request.audience !== undefined) token.setAudience(request.audience);
  return token.sign(new TextEncoder().encode(secret));
}

/**
 * A secret of the server's own, that of its tokens unless another is named: 256 random bits in hexadecimal in a file of the data
 * directory (mode 0600), made on first use. Two processes that start at once end up with the same one, because only one of them can link its file there.
 */
export async function loadOrCreateSecret(dataDir: string, name = 'token-secret'): Promise<string> {
  const path = join(dataDir, name);
  await mkdir(dataDir, { recursive: true });
  const existing = await readSecret(path);
  if (existing !== undefined) return existing;
  const temporary = `${path}.${randomBytes(8).toString('hex')}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(`${randomBytes(32).toString('hex')}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await linkOnce(temporary, path);
  await unlink(temporary);
  const secret = await readSecret(path);
  if (secret === undefined) throw new Error(`the secret ${path} vanished`);
  return secret;
}

async function readSecret(path: string): Promise<string | undefined> {
  try {
    const secret = (await readFile(path, 'utf8')).trim();
    if (secret.length < 32) throw new Error(`the token secret ${path} has fewer than 32 characters; remove it to have a new one made`);
    return secret;
  } catch (fault) {
    if (hasCode(fault, 'ENOENT')) return undefined;
    throw fault;
  }
}

async function linkOnce(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (fault) {
    if (!hasCode(fault, 'EEXIST')) throw fault;
  }
}

function hasCode(fault: unknown, code: string): boolean {
  return fault instanceof Error && 'code' in fault && fault.code === code;
}
