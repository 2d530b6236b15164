import { createHash } from 'node:crypto';
import { CovistaError } from '../../protocol/errors.ts';
import { canonicalJson } from '../shared/canonical.ts';
import type { Idempotency } from '../storage/stores.ts';
import type { Call } from './call.ts';
import type { Entry, GatewayOptions, Outcome } from './dispatch.ts';

export interface IdempotentRuns {
  /**
   * Runs a command unless one with its key succeeded before: then its result is returned. Calls with the same key that
   * arrive meanwhile wait for the first; when it fails, the next of them runs. Rejects as `run` does, and with `conflict`
   * when the key was used with another input or other bytes, which are read for that.
   */
  once(entry: Entry, call: Call, input: unknown, run: () => Outcome | Promise<Outcome>): Promise<Outcome>;
}

interface Running {
  readonly inputHash: string;
  readonly outcome: Promise<Outcome>;
}

interface Command {
  readonly entry: Entry;
  readonly call: Call;
  readonly input: unknown;
  run(): Outcome | Promise<Outcome>;
}

export function createIdempotency({ idempotency: store, limits }: GatewayOptions): IdempotentRuns {
  /** By subject and key; as many as commands are in flight, which connections bound. */
  const running = new Map<string, Running>();

  const start = async ({ entry, call, input, run }: Command, idempotency: Idempotency): Promise<Outcome> => {
    const earlier = isRemembered(entry) ? await store.find(call.actor.subject, idempotency) : undefined;
    if (earlier === undefined) return run();
    await assertSameBody(entry, call, input, earlier.result);
    return { kind: 'value', value: earlier.result };
  };

  return {
    once: async (entry, call, input, run) => {
      const idempotency = describe(entry, call, input, limits.idempotencyKeyCharsMax);
      call.idempotency = idempotency;
      const name = JSON.stringify([call.actor.subject, idempotency.key]);
      for (let other = running.get(name); other !== undefined; other = running.get(name)) {
        if (other.inputHash !== idempotency.inputHash) throw reused(idempotency.key);
        const outcome = await other.outcome;
        if (outcome.kind !== 'value') continue;
        await assertSameBody(entry, call, input, outcome.value);
        return outcome;
      }
      const outcome = start({ entry, call, input, run }, idempotency);
      running.set(name, { inputHash: idempotency.inputHash, outcome: outcome.catch(failed) });
      try {
        return await outcome;
      } finally {
        running.delete(name);
      }
    },
  };
}

/** What changes nothing that lasts has no transaction of its own, in which its result would be kept: looking for one is in vain. */
const isRemembered = ({ operation }: Entry): boolean => operation.audit !== 'access';

/** Those who wait for a run that failed only need to know that it did: they run themselves. */
function failed(): Outcome {
  return { kind: 'error', error: new CovistaError('unavailable', 'the first call with this idempotency key failed') };
}

function reused(idempotencyKey: string): CovistaError {
  return new CovistaError('conflict', 'this idempotency key was used with another operation, input or body', { idempotencyKey });
}

/** A body that comes again has to be the one that led to the result. */
async function assertSameBody({ operation }: Entry, call: Call, input: unknown, result: unknown): Promise<void> {
  const expected = operation.bodyHash?.(input as never, result) ?? null;
  if (expected === null) return;
  const hash = createHash('sha256');
  for await (const bytes of call.body ?? []) hash.update(bytes);
  if (hash.digest('hex') !== expected) throw reused(call.idempotencyKey ?? '');
}

function describe(entry: Entry, call: Call, input: unknown, charsMax: number): Idempotency {
  const key = call.idempotencyKey ?? '';
  if (key.length === 0 || key.length > charsMax || /[\p{Cc}\p{Cs}]/u.test(key)) {
    throw new CovistaError('invalid_input', `an idempotency key has 1 to ${charsMax} characters, none of them control characters`);
  }
  const inputHash = createHash('sha256')
    .update(`${entry.name}\n${canonicalJson(input)}`)
    .digest('hex');
  return { key, inputHash };
}
