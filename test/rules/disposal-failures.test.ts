import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { defaultLimits } from '../../protocol/limits.ts';
import { openDisposal } from '../../server/services/retention/disposal.ts';
import { systemClock } from '../../server/shared/clock.ts';

/** A round in which these steps fail, and what was deleted and logged in it. */
async function round(failing: { readonly release?: Error; readonly disposed?: Error }) {
  const deleted: string[] = [];
  const logged: string[] = [];
  let condemned = ['a file'];
  const nothing = async (): Promise<void> => undefined;
  const store = {
    ...{ join: nothing, leave: nothing, announce: nothing, acknowledge: async () => true },
    release: async () => {
      if (failing.release !== undefined) throw failing.release;
      return null;
    },
    disposable: async () => condemned,
    disposed: async () => {
      condemned = [];
      if (failing.disposed !== undefined) throw failing.disposed;
    },
  };
  const objects = { condemn: () => [], delete: async (keys: readonly string[]) => void deleted.push(...keys) };
  const sink = new Writable({
    write: (chunk, _encoding, done) => {
      logged.push(String(chunk));
      done();
    },
  });
  const log = pino({ level: 'warn' }, sink);
  const disposal = await openDisposal({ store: store as never, objects, limits: defaultLimits, clock: systemClock, log });
  const outcome = await disposal.run(new AbortController().signal).catch((fault: unknown) => fault);
  await disposal.close();
  return { outcome, deleted, logged };
}

test('RET5 what cannot be let go of keeps no other files, and is told once, by whoever asked for the round', async () => {
  const [release, disposed] = [new Error('not let go of'), new Error('not written')];
  expect(await round({})).toEqual({ outcome: undefined, deleted: ['a file'], logged: [] });
  expect(await round({ release })).toEqual({ outcome: release, deleted: ['a file'], logged: [] });
  expect(await round({ disposed })).toEqual({ outcome: disposed, deleted: ['a file'], logged: [] });
  const both = await round({ release, disposed });
  expect(both).toMatchObject({ outcome: { errors: [release, disposed] }, logged: [] });
});
