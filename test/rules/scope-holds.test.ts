import { describe, expect, test } from 'vitest';
import type { CovistaError } from '../../protocol/errors.ts';
import type { DatasetId, GrantId } from '../../protocol/ids.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import type { Actor } from '../../server/services/access/actor.ts';
import { type Authorizer, createAuthorizer } from '../../server/services/access/authorizer.ts';
import { type Clock, systemClock } from '../../server/shared/clock.ts';
import { isUnrestricted } from '../../server/storage/content-store.ts';
import type { EffectiveGrant, GrantStore } from '../../server/storage/stores.ts';

const DATASET = 1 as DatasetId;
const actor = (subject: string, claims: Record<string, unknown> = {}): Actor => ({
  subject,
  groups: ['team'],
  serverAdmin: false,
  claims: { sub: subject, ...claims },
  expiresAtMs: null,
});
const BOB = actor('bob');
const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString();

let grantIds = 0;
function grant(changes: Partial<EffectiveGrant> = {}): EffectiveGrant {
  grantIds += 1;
  return {
    grantId: grantIds as GrantId,
    datasetId: DATASET,
    principal: 'user:bob',
    permission: 'read',
    validFrom: null,
    validUntil: null,
    rowFilter: null,
    filter: null,
    columnMask: null,
    columnIdsBelow: null,
    grantedBy: 'alice',
    grantedAt: inMs(0),
    ...changes,
  };
}

const masked = { columnMask: ['salary'], columnIdsBelow: 9 };
const byRegion = {
  rowFilter: 'region = {{region}}',
  filter: { pieces: ['(region = ', ')'], parameters: [{ claim: 'region', type: 'VARCHAR', isListItem: false }], columns: [] },
};

interface Authorizing {
  readonly authorizer: Authorizer;
  readonly set: (...grants: EffectiveGrant[]) => void;
  reads: number;
}

/** An authorizer over grants that the test changes, with the number of times that it read them. */
function authorizerOf(...given: EffectiveGrant[]): Authorizing {
  return authorizerAt(systemClock, ...given);
}

function authorizerAt(clock: Clock, ...given: EffectiveGrant[]): Authorizing {
  let grants = given;
  const state = {
    reads: 0,
    set: (...changed: EffectiveGrant[]): void => {
      grants = changed;
    },
    authorizer: undefined as unknown as Authorizer,
  };
  const ofDataset = async (): Promise<EffectiveGrant[] | undefined> => {
    state.reads += 1;
    return grants.length === 0 ? undefined : grants;
  };
  const store = { ofDataset } as unknown as GrantStore;
  state.authorizer = createAuthorizer({ grants: store, limits: { ...defaultLimits, scopePartsMax: 3 }, clock });
  return state;
}

/** Resolves with the reason for which work on the dataset is ended. */
async function lost(authorizer: Authorizer, { followsScope = false, level = 'read' as const } = {}): Promise<CovistaError> {
  const access = await authorizer.authorize(BOB, level, DATASET);
  return new Promise((resolve) => authorizer.hold({ actor: BOB, level, access, followsScope, onLost: resolve }));
}

const changed = (sequence: number) =>
  ({ kind: 'events', datasetId: DATASET, sequence, grantsChanged: true, versionsChanged: false, isDeleted: false }) as const;

describe('what grants come to', () => {
  test('SCOPE1 a grant counts from its beginning to its end', async () => {
    const { authorizer } = authorizerOf(grant({ validFrom: inMs(60_000) }), grant({ validUntil: inMs(-1) }));
    await expect(authorizer.authorize(BOB, 'read', DATASET)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('SCOPE2 an unrestricted grant beside restricted ones shows everything, the highest permission counts', async () => {
    const { authorizer } = authorizerOf(grant(masked), grant({ principal: 'group:team', permission: 'write' }));
    const access = await authorizer.authorize(BOB, 'write', DATASET);
    expect(access.permission).toBe('write');
    expect(isUnrestricted(access.scope)).toBe(true);
  });

  test('SCOPE6 who lacks a claim is told which, who lacks a grant is told nothing', async () => {
    const { authorizer } = authorizerOf(grant(byRegion), grant({ principal: 'user:alice', permission: 'admin' }));
    await expect(authorizer.authorize(BOB, 'read', DATASET)).rejects.toMatchObject({ code: 'forbidden', details: { claims: ['region'] } });
    await expect(authorizer.authorize(actor('carol'), 'read', DATASET)).rejects.toMatchObject({ code: 'not_found' });
    const access = await authorizer.authorize(actor('bob', { region: 'EU' }), 'read', DATASET);
    expect(access.scope.parts).toMatchObject([{ rows: { values: ['EU'] }, mask: null }]);
  });

  test('SCOPE13 grants that show the same are joined, and there are only so many others', async () => {
    const many = (count: number): EffectiveGrant[] =>
      Array.from({ length: count }, (_unused, index) => grant({ ...masked, columnMask: [`c${index % 4}`] }));
    const { authorizer, set } = authorizerOf(...many(3), ...many(3));
    expect((await authorizer.authorize(BOB, 'read', DATASET)).scope.parts).toHaveLength(3);
    set(...many(4));
    authorizer.forget(DATASET);
    await expect(authorizer.authorize(BOB, 'read', DATASET)).rejects.toMatchObject({ code: 'forbidden', details: { scopePartsMax: 3 } });
  });

  test('SCOPE11 a change that is told twice is read once', async () => {
    const state = authorizerOf(grant());
    await state.authorizer.authorize(BOB, 'read', DATASET);
    state.authorizer.notice(changed(7));
    await state.authorizer.authorize(BOB, 'read', DATASET);
    state.authorizer.catchUp(DATASET, 7);
    state.authorizer.notice(changed(7));
    await state.authorizer.authorize(BOB, 'read', DATASET);
    expect(state.reads).toBe(2);
  });
});

describe('work under way', () => {
  test('SCOPE11 ends when the grant is revoked, with the reason', async () => {
    const { authorizer, set } = authorizerOf(grant(), grant({ principal: 'user:alice' }));
    const reason = lost(authorizer);
    set(grant({ principal: 'user:alice' }));
    authorizer.notice(changed(1));
    expect(await reason).toMatchObject({ code: 'not_found' });
  });

  test('SCOPE11 ends when the time of the grant is over, though nothing is told', async () => {
    const clock = { now: () => timeMs };
    const endsMs = Date.now();
    let timeMs = endsMs - 50;
    const { authorizer } = authorizerAt(clock, grant({ validUntil: new Date(endsMs).toISOString() }));
    const reason = lost(authorizer);
    let isLost = false;
    reason.then(() => {
      isLost = true;
    });
    await authorizer.authorize(BOB, 'read', DATASET);
    expect(isLost).toBe(false);
    timeMs = endsMs;
    expect(await reason).toMatchObject({ code: 'not_found' });
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'SCOPE11 ends also when the time is over just while it is looked at, before look %i at the clock',
    async (looks) => {
      const endsMs = Date.now();
      let looked = Number.NEGATIVE_INFINITY;
      const clock = {
        now: () => {
          looked += 1;
          return looked < looks ? endsMs - 1 : endsMs;
        },
      };
      const { authorizer } = authorizerAt(clock, grant({ validUntil: new Date(endsMs).toISOString() }));
      const access = await authorizer.authorize(BOB, 'read', DATASET);
      looked = 0;
      const reason = new Promise((resolve) => authorizer.hold({ actor: BOB, level: 'read', access, followsScope: true, onLost: resolve }));
      expect(await reason).toMatchObject({ code: 'not_found' });
    },
  );

  test('SCOPE11 ends when less may be seen than at its beginning, but not what goes by the scope as it is', async () => {
    const { authorizer, set } = authorizerOf(grant());
    const [ended, followed] = [lost(authorizer), lost(authorizer, { followsScope: true })];
    set(grant(masked));
    authorizer.notice(changed(1));
    expect(await ended).toMatchObject({ code: 'forbidden' });
    set();
    authorizer.notice(changed(2));
    expect(await followed).toMatchObject({ code: 'not_found' });
  });

  test('SCOPE11 TB8 ends on another day where it goes on showing the rows of a date, and not what was asked for on one', async () => {
    const midnightMs = (Math.floor(Date.now() / 86_400_000) + 1) * 86_400_000;
    let timeMs = midnightMs - 50;
    const pieces = ['(until >= ', ')'];
    const current = {
      rowFilter: 'until >= current_date',
      filter: { pieces, parameters: [{ claim: null, type: 'DATE', isListItem: false }], columns: [] },
    };
    const { authorizer, set } = authorizerAt({ now: () => timeMs }, grant(current));
    const access = await authorizer.authorize(BOB, 'read', DATASET);
    const begun = { actor: BOB, level: 'read', access, followsScope: false } as const;
    const kept = new Promise((resolve) => authorizer.hold({ ...begun, keepsScope: true, onLost: resolve }));
    const asked = lost(authorizer);
    await authorizer.authorize(BOB, 'read', DATASET);
    timeMs = midnightMs;
    expect(await kept).toMatchObject({ code: 'forbidden', details: { datasetId: DATASET } });
    set();
    authorizer.notice(changed(1));
    // The first thing that it hears of is the end.
    expect(await asked).toMatchObject({ code: 'not_found' });
  });

  test('SCOPE11 TB8 goes on where another grant shows as much to who goes on with what it showed', async () => {
    const narrow = grant({ ...masked });
    const { authorizer, set } = authorizerOf(narrow);
    const access = await authorizer.authorize(BOB, 'read', DATASET);
    const kept = new Promise((resolve) =>
      authorizer.hold({ actor: BOB, level: 'read', access, followsScope: false, keepsScope: true, onLost: resolve }),
    );
    set(narrow, grant({ columnMask: ['other'], columnIdsBelow: 9 }));
    authorizer.notice(changed(1));
    await authorizer.authorize(BOB, 'read', DATASET);
    set();
    authorizer.notice(changed(2));
    expect(await kept).toMatchObject({ code: 'not_found' });
  });

  test('SCOPE11 goes on when more may be seen', async () => {
    const narrow = grant(masked);
    const { authorizer, set } = authorizerOf(narrow);
    const reason = lost(authorizer);
    set(narrow, grant());
    authorizer.notice(changed(1));
    await authorizer.authorize(BOB, 'read', DATASET);
    set(grant({ principal: 'user:alice' }));
    authorizer.notice({ kind: 'gap' });
    // The first thing that it hears of is the end.
    expect(await reason).toMatchObject({ code: 'not_found' });
  });

  test('SCOPE11 ends when the permission for it is taken, though reading is still allowed', async () => {
    const { authorizer, set } = authorizerOf(grant({ permission: 'write' }));
    const reason = lost(authorizer, { level: 'write' as never });
    set(grant());
    authorizer.forget(DATASET);
    expect(await reason).toMatchObject({ code: 'forbidden', details: { needs: 'write', has: 'read' } });
  });

  test('SCOPE11 ends when it cannot be found out what is allowed', async () => {
    const { authorizer } = authorizerOf(grant());
    const access = await authorizer.authorize(BOB, 'read', DATASET);
    const broken = createAuthorizer({
      grants: { ofDataset: () => Promise.reject(new Error('down')) } as unknown as GrantStore,
      limits: defaultLimits,
      clock: systemClock,
    });
    const reason = new Promise((resolve) => broken.hold({ actor: BOB, level: 'read', access, followsScope: false, onLost: resolve }));
    expect(await reason).toMatchObject({ code: 'unavailable' });
  });
});
