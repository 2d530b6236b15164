import type { Config } from '../config.ts';
import { loadOrCreateSecret, mintToken } from '../gateway/mint.ts';
import { type Command, listFlag, textFlag, UsageError } from './command.ts';

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const token: Command = {
  summary: 'Print a token that a server with the same secret or data directory accepts',
  flags: {
    sub: { type: 'string', value: 'NAME', prose: 'Whom the token speaks for; required' },
    admin: { type: 'boolean', prose: 'Make it a token of a server admin' },
    claim: { type: 'string', multiple: true, value: 'NAME=VALUE', prose: 'A further claim; one that is repeated becomes a list' },
    ttl: { type: 'string', value: 'TIME', prose: 'How long it holds: 90s, 15m, 1h, 7d; absent: for ever' },
  },
  run: async ({ flags, config, terminal }) => {
    const subject = textFlag(flags, 'sub');
    if (subject === undefined || subject.length === 0) throw new UsageError('--sub is required');
    requireSubject(subject, config);
    const ttl = textFlag(flags, 'ttl');
    const request = {
      subject,
      admin: flags.admin === true,
      claims: readClaims(listFlag(flags, 'claim'), config.jwtGroupsClaim),
      ...(ttl === undefined ? {} : { ttlMs: readDuration(ttl) }),
    };
    terminal.print(`${await mint(config, request)}\n`);
    return 0;
  },
};

/** What a server would refuse is not minted. */
function requireSubject(subject: string, { limits: { subjectCharsMax } }: Config): void {
  if (subject.length <= subjectCharsMax && !/[\p{Cc}\p{Cs}]/u.test(subject)) return;
  throw new UsageError(`--sub takes a text of at most ${subjectCharsMax} characters without control characters`);
}

/** Claims with a flag or a value of their own. */
const OWN_CLAIMS: Readonly<Record<string, string>> = {
  sub: 'use --sub',
  covista_admin: 'use --admin',
  exp: 'use --ttl',
  nbf: 'a token holds at once',
  iat: 'that is the time at which it is made',
  jti: 'each token has another one',
};

type Minted = Omit<Parameters<typeof mintToken>[1], 'issuer' | 'audience'>;

/** A token as the server of this configuration accepts it. */
export async function mint(config: Config, request: Minted): Promise<string> {
  if (config.jwksUrl !== undefined) throw new UsageError('the server takes tokens of the issuer at its JWKS URL; only that can make them');
  const secret = config.jwtSecret ?? (await loadOrCreateSecret(config.dataDir));
  return mintToken(secret, { ...request, issuer: config.jwtIssuer, audience: config.jwtAudience });
}

/** Claims by name; groups are a list even when there is one. */
export function readClaims(texts: readonly string[], groupsClaim: string): Record<string, string | string[]> {
  const claims = new Map<string, string[]>();
  for (const text of texts) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
    if (name === undefined || value === undefined) throw new UsageError(`--claim takes NAME=VALUE, not "${text}"`);
    if (Object.hasOwn(OWN_CLAIMS, name)) throw new UsageError(`--claim cannot set ${name}: ${OWN_CLAIMS[name]}`);
    claims.set(name, [...(claims.get(name) ?? []), value]);
  }
  return Object.fromEntries([...claims].map(([name, values]) => [name, values.length === 1 && name !== groupsClaim ? (values[0] ?? '') : values]));
}

function readDuration(text: string): number {
  const [, count, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const unitMs = UNITS_MS[unit];
  if (count === undefined || unitMs === undefined || Number(count) === 0)
    throw new UsageError(`--ttl takes a time such as 90s, 15m, 1h or 7d, not "${text}"`);
  return Number(count) * unitMs;
}
