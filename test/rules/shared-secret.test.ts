import { errors, jwtVerify, SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { sharedSecretVerifier } from '../../server/gateway/shared-secret.ts';
import { seededRandom } from '../support/random.ts';

const SECRET = 'a secret that is long enough for tests, é';
const KEY = new TextEncoder().encode(SECRET);
const NOW = new Date('2026-01-01T00:00:00Z');
const EXPECTED = { requiredClaims: ['sub'], issuer: 'us', currentDate: NOW };
const verify = sharedSecretVerifier(SECRET);

const verdictOf = (check: () => unknown): string => {
  try {
    return JSON.stringify(check());
  } catch (fault) {
    if (!(fault instanceof errors.JOSEError)) throw fault;
    return fault.code;
  }
};

const verdictOfJose = (token: string): Promise<string> =>
  jwtVerify(token, KEY, { ...EXPECTED, algorithms: ['HS256'] }).then(
    ({ payload }) => JSON.stringify(payload),
    (fault: errors.JOSEError) => fault.code,
  );

const sign = (claims: Record<string, unknown>, header: object = {}): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ ...header, alg: 'HS256' }).sign(KEY);

test('AUTH3 tokens of a shared secret are judged as the library judges them, one by one', async () => {
  const nowS = NOW.getTime() / 1_000;
  const tokens = await Promise.all([
    sign({ sub: 'alice', iss: 'us', groups: ['ä'] }),
    sign({ sub: 'alice', iss: 'us', exp: nowS + 1 }, { typ: 'JWT', kid: 'any' }),
    sign({ sub: 'alice', iss: 'us', exp: nowS }),
    sign({ sub: 'alice', iss: 'us', nbf: nowS + 1 }),
    sign({ sub: 'alice', iss: 'us', exp: 'soon' }),
    sign({ sub: 'alice', iss: 'them' }),
    sign({ iss: 'us' }),
    new SignJWT({ sub: 'alice', iss: 'us' }).setProtectedHeader({ alg: 'HS512' }).sign(KEY),
    new SignJWT({ sub: 'alice', iss: 'us' }).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode('another secret, also long enough')),
  ]);
  expect(tokens.map((token) => verdictOf(() => verify(token, EXPECTED)))).toEqual(await Promise.all(tokens.map(verdictOfJose)));
  expect(verdictOf(() => verify(tokens[0] as string, EXPECTED))).toContain('alice');
});

test('AUTH3 whatever is changed in a token, it is accepted by both or by none', async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const random = seededRandom(seed);
  const token = await sign({ sub: 'alice', iss: 'us' });
  const symbols = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=. \n\u0000é';
  for (let turn = 0; turn < 2_000; turn += 1) {
    const at = random.below(token.length + 1);
    const changed = token.slice(0, at) + (random.below(10) < 7 ? symbols[random.below(symbols.length)] : '') + token.slice(at + random.below(3));
    const isAccepted = verdictOf(() => verify(changed, EXPECTED)).includes('alice');
    expect(isAccepted, `seed ${seed}, turn ${turn}: ${JSON.stringify(changed)}`).toBe(changed === token);
    // The library lets other spellings of the same signature pass.
    if (random.below(20) > 0 || isSameBefore(token.lastIndexOf('.') + 1, changed, token)) continue;
    expect((await verdictOfJose(changed)).includes('alice'), `seed ${seed}, turn ${turn}`).toBe(isAccepted);
  }
});

const isSameBefore = (end: number, one: string, other: string): boolean => one.slice(0, end) === other.slice(0, end);

test('AUTH3 one way to write a signature is accepted, and no extension of the header is passed over', async () => {
  const token = await sign({ sub: 'alice', iss: 'us' });
  const [head, payload, signature = ''] = token.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  const others = [`${signature}=`, bytes.toString('base64').replace(/=$/, ''), signature.slice(0, -1), `${signature}A`, '', bytes.toString('hex')];
  for (const other of others.filter((text) => text !== signature)) {
    expect(
      verdictOf(() => verify(`${head}.${payload}.${other}`, EXPECTED)),
      other,
    ).toBe('ERR_JWS_SIGNATURE_VERIFICATION_FAILED');
  }
  const plain = await sign({ sub: 'alice', iss: 'us' }, { crit: ['b64'], b64: true });
  expect(verdictOf(() => verify(plain, EXPECTED))).toBe('ERR_JOSE_NOT_SUPPORTED');
});
