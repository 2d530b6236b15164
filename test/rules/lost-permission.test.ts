import { describe, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { resolveLimits } from '../../protocol/limits.ts';
import { Call } from '../../server/gateway/call.ts';
import { createGateway, type GatewayOptions } from '../../server/gateway/dispatch.ts';
import { createLog } from '../../server/shared/log.ts';
import { accessTo, completeHandlers } from '../support/socket-server.ts';

const LOST = new CovistaError('not_found', 'there is no dataset 1');

/** One who watches a dataset, and is told of one event before what the test has in mind happens. */
async function watchUntil(end: (revoke: () => void) => void): Promise<{ readonly recorded: string[]; readonly codes: string[] }> {
  const recorded: string[] = [];
  let revoke = (): void => undefined;
  const options: GatewayOptions = {
    audit: { record: ({ operation, outcome }) => void recorded.push(`${operation} ${outcome}`), close: async () => undefined },
    handlers: completeHandlers({
      'dataset.watch': async function* () {
        yield { event: 1 };
        end(revoke);
        await Promise.resolve();
        throw LOST;
      },
    }),
    authorize: (_actor, level, datasetId) => accessTo(datasetId, level),
    stepUp: { amr: [], acr: [] },
    hold: ({ onLost }) => {
      revoke = () => onLost(LOST);
      return () => undefined;
    },
    idempotency: { find: async () => undefined },
    limits: resolveLimits({}),
    log: createLog('silent', false),
  };
  const actor = { subject: 'alice', groups: [], serverAdmin: false, claims: {}, expiresAtMs: null };
  const call = new Call({ operation: 'dataset.watch', input: { datasetId: 1 }, actor, address: '', idempotencyKey: null, body: undefined });
  const outcome = await createGateway(options).dispatch(call);
  if (outcome.kind !== 'stream') throw new Error(`the watch is a ${outcome.kind}`);
  const codes: string[] = [];
  try {
    for await (const _item of outcome.items) codes.push('item');
  } catch (fault) {
    codes.push((fault as CovistaError).code);
  }
  return { recorded, codes };
}

describe('AUD2 a watch that ends because its permission did is recorded once', () => {
  test('where the gateway sees it first', async () => {
    expect(await watchUntil((revoke) => revoke())).toEqual({ recorded: ['dataset.watch not_found'], codes: ['item', 'not_found'] });
  });

  test('where the watch itself sees it first', async () => {
    expect(await watchUntil(() => undefined)).toEqual({ recorded: ['dataset.watch not_found'], codes: ['item', 'not_found'] });
  });
});
