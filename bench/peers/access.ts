import type { DatasetId } from '../../protocol/ids.ts';
import { resolveLimits } from '../../protocol/limits.ts';
import { operations } from '../../protocol/operations/index.ts';
import { createAuthenticator } from '../../server/gateway/authenticate.ts';
import { createGateway } from '../../server/gateway/dispatch.ts';
import { mintToken } from '../../server/gateway/mint.ts';
import { createRest } from '../../server/gateway/rest.ts';
import type { Handlers } from '../../server/operations/handler.ts';
import { createAuthorizer } from '../../server/services/access/authorizer.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';
import { listen } from '../../server/socket/listen.ts';
import { UNRESTRICTED } from '../../server/storage/content-store.ts';
import type { EffectiveGrant, GrantStore } from '../../server/storage/stores.ts';
import { UNLIMITED_PER_SECOND } from '../support/load.ts';

/**
 * The wire and the gateway with a handler that answers at once: `granted` asks the grants of a dataset what the caller may do
 * and see, `open` lets everybody do everything. Prints its address and a token for it.
 */
const isGranted = process.argv[2] === 'granted';
const SECRET = 'a secret of the bench, long enough for HS256';
const limits = resolveLimits({ requestsPerSubjectPerSecond: UNLIMITED_PER_SECOND });
const log = createLog('warn', false);

const grant = (grantId: number, principal: string, rowFilter: string | null): EffectiveGrant => ({
  grantId: grantId as EffectiveGrant['grantId'],
  datasetId: 1 as DatasetId,
  principal,
  permission: 'read',
  validFrom: null,
  validUntil: '2999-01-01T00:00:00.000Z',
  rowFilter,
  filter:
    rowFilter === null
      ? null
      : {
          pieces: ['(region = ', ')'],
          parameters: [{ claim: 'region', type: 'VARCHAR', isListItem: false }],
          columns: [{ name: 'region', type: 'VARCHAR' }],
        },
  columnMask: null,
  columnIdsBelow: null,
  grantedBy: 'bench',
  grantedAt: '2026-01-01T00:00:00.000Z',
});

/** Grants to many others, and to the caller by name and by group, one of them with a filter. */
const grants = [
  ...Array.from({ length: 200 }, (_, index) => grant(index, `user:other-${index}`, null)),
  grant(1_000, 'user:bench', 'region = {{region}}'),
  grant(1_001, 'group:readers', 'region = {{region}}'),
];

const store: Pick<GrantStore, 'ofDataset'> = { ofDataset: async () => grants };
const authorizer = createAuthorizer({ grants: store as GrantStore, limits, clock: systemClock });

const answer = (): object => ({});
const handlers = Object.fromEntries(
  Object.entries(operations).map(([noun, verbs]) => [noun, Object.fromEntries(Object.keys(verbs).map((verb) => [verb, answer]))]),
) as unknown as Handlers;

const audit = { record: () => undefined, close: async () => undefined };
const authenticator = createAuthenticator({
  key: { secret: SECRET },
  issuer: undefined,
  audience: undefined,
  clockToleranceMs: 0,
  groupsClaim: 'groups',
  revocations: { against: () => undefined, watch: () => () => undefined },
  tickets: { redeem: async () => undefined },
  audit,
  limits,
  clock: systemClock,
});
const gateway = createGateway({
  handlers,
  authorize: isGranted ? authorizer.decide : (_actor, permission, datasetId) => ({ datasetId, permission, scope: UNRESTRICTED, grantIds: [] }),
  hold: () => () => undefined,
  stepUp: { amr: [], acr: [] },
  idempotency: { find: async () => undefined },
  audit,
  limits,
  log,
});
const listener = await listen({
  host: '127.0.0.1',
  port: 0,
  allowedOrigins: [],
  tls: undefined,
  trustedProxies: [],
  gateway,
  rest: createRest({ gateway, authenticator, limits, log }),
  authenticator,
  limits,
  log,
  pages: new Map(),
  ready: () => true,
});
const token = await mintToken(SECRET, { subject: 'bench', claims: { groups: ['readers'], region: 'EU' } });
process.stdout.write(`ws://127.0.0.1:${listener.port}/?token=${token}\n`);
