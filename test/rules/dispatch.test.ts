import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { resolveLimits } from '../../protocol/limits.ts';
import { operationsByName } from '../../protocol/operations/index.ts';
import { ANONYMOUS, Call } from '../../server/gateway/call.ts';
import { createGateway, type Gateway, type GatewayOptions, type Outcome } from '../../server/gateway/dispatch.ts';
import type { CallContext } from '../../server/operations/handler.ts';
import type { Actor } from '../../server/services/access/actor.ts';
import { createLog } from '../../server/shared/log.ts';
import type { Idempotency } from '../../server/storage/stores.ts';
import { permissionRows } from '../support/permission-table.ts';
import { NO_SESSIONS } from '../support/sessions.ts';
import { accessTo, completeHandlers, type TestHandlers } from '../support/socket-server.ts';

const alice: Actor = { subject: 'alice', groups: [], serverAdmin: false, claims: {}, expiresAtMs: null };

function gatewayFor(handlers: TestHandlers, options: Partial<GatewayOptions> = {}): Gateway {
  return createGateway({
    audit: NO_SESSIONS.audit,
    handlers: completeHandlers(handlers),
    authorize: (_actor, level, datasetId) => accessTo(datasetId, level),
    stepUp: { amr: [], acr: [] },
    hold: () => () => undefined,
    idempotency: { find: async () => undefined },
    limits: resolveLimits({ operationTimeoutMs: 30 }),
    log: createLog('silent', false),
    ...options,
  });
}

const callOf = (operation: string, input: unknown, options: { readonly actor?: Actor; readonly key?: string } = {}): Call =>
  new Call({ operation, input, actor: options.actor ?? alice, address: '', idempotencyKey: options.key ?? null, body: undefined });

const codeOf = (outcome: Outcome): string => (outcome.kind === 'error' ? outcome.error.code : outcome.kind);

/** Remembers results as the database does, but only those that `keep` is given. */
class Memory {
  readonly #results = new Map<string, { readonly inputHash: string; readonly result: unknown }>();
  readonly finds: Idempotency[] = [];

  async find(subject: string, idempotency: Idempotency): Promise<{ result: unknown } | undefined> {
    this.finds.push(idempotency);
    const known = this.#results.get(`${subject} ${idempotency.key}`);
    if (known !== undefined && known.inputHash !== idempotency.inputHash) throw new CovistaError('conflict', 'another input');
    return known && { result: known.result };
  }

  keep({ provenance }: CallContext, result: unknown): void {
    const { actor, idempotency } = provenance;
    if (idempotency !== undefined) this.#results.set(`${actor} ${idempotency.key}`, { inputHash: idempotency.inputHash, result });
  }
}

describe('permission', () => {
  const permissions = [...operationsByName].map(([name, { permission, example }]) => {
    const datasetId = 'on' in permission ? permission.on(example.input as never) : null;
    return [name, permission.action, example.input, datasetId] as const;
  });

  test.each(permissions)('AUTH12 %s asks for %s and for nothing less, before its handler runs', async (name, action, input, datasetId) => {
    let handled = 0;
    const asked: unknown[] = [];
    const gateway = gatewayFor(
      {
        [name]: () => {
          handled += 1;
          return { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }) };
        },
      },
      {
        authorize: (actor, level, datasetId) => {
          asked.push([actor.subject, level, datasetId]);
          throw new CovistaError('forbidden', 'no');
        },
      },
    );
    expect(codeOf(await gateway.dispatch(callOf(name, input, { actor: ANONYMOUS })))).toBe(action === 'public' ? 'value' : 'unauthenticated');
    const outcome = codeOf(await gateway.dispatch(callOf(name, input)));
    if (action === 'authenticated') expect([handled, asked]).toEqual([1, []]);
    else if (action === 'server-admin') expect([outcome, handled, asked]).toEqual(['forbidden', 0, []]);
    else if (action !== 'public') expect([outcome, handled, asked]).toEqual(['forbidden', 0, [['alice', action, datasetId]]]);
  });

  test('AUTH12 the table of SPEC.md is that of the registry', async () => {
    const spec = await readFile(new URL('../../protocol/SPEC.md', import.meta.url), 'utf8');
    const [section = ''] = spec.slice(spec.indexOf('**AUTH12**')).split('\n## ');
    const rows = section.match(/^\|.*\|$/gm) ?? [];
    const written = rows.map((row) => row.replaceAll(/ +/g, ' ')).filter((row) => row.includes('`'));
    expect(written).toEqual(permissionRows());
  });

  test('AUTH12 input is validated before anybody is asked for permission', async () => {
    const gateway = gatewayFor({}, { authorize: () => Promise.reject(new Error('asked')) });
    expect(codeOf(await gateway.dispatch(callOf('dataset.get', { datasetId: 'x' })))).toBe('invalid_input');
  });

  test('AUTH12 the handler learns what the caller may do', async () => {
    const gateway = gatewayFor({ 'dataset.get': (_input, { access }) => access }, { authorize: async (_actor, level, id) => accessTo(id, level) });
    expect(await gateway.dispatch(callOf('dataset.get', { datasetId: 5 }))).toEqual({ kind: 'value', value: accessTo(5 as never, 'read') });
  });
});

describe('input', () => {
  test('RPC9 issues say where, and there are not endless many of them', async () => {
    const gateway = gatewayFor({});
    const outcome = await gateway.dispatch(
      callOf('dataset.create', { name: 'x', labels: Array.from({ length: 50 }, () => 5), ['u'.repeat(1_000)]: 1 }),
    );
    if (outcome.kind !== 'error') throw new Error('it was accepted');
    const issues = outcome.error.details.issues as { path: string; message: string }[];
    expect(issues).toHaveLength(20);
    expect(issues[0]?.path).toBe('labels[0]');
    expect(Math.max(...issues.map(({ message }) => message.length))).toBeLessThanOrEqual(300);
  });

  test.each([undefined, null, 5, 'text', [], [1]])('RPC9 %j is no input', async (input) => {
    expect(codeOf(await gatewayFor({}).dispatch(callOf('dataset.create', input)))).toBe('invalid_input');
  });

  test.each(['', 'session', 'session.', '.whoami', 'session.whoami.x', 'constructor.name', '__proto__.toString', 'x'.repeat(10_000)])(
    'RPC9 the operation %s does not exist',
    async (operation) => {
      const outcome = await gatewayFor({}).dispatch(callOf(operation, {}));
      expect(codeOf(outcome)).toBe('unknown_operation');
      if (outcome.kind === 'error') expect(outcome.error.message.length).toBeLessThan(200);
    },
  );
});

describe('faults and time', () => {
  test('RPC10 RPC13 an abort is told as what caused it', async () => {
    const abortError = (): Error => Object.assign(new Error('aborted'), { name: 'AbortError' });
    const gateway = gatewayFor({
      'dataset.list': (_input, { signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(abortError()))),
    });
    expect(codeOf(await gateway.dispatch(callOf('dataset.list', {})))).toBe('timeout');
    const call = callOf('dataset.list', {});
    const outcome = gateway.dispatch(call);
    call.cancel(new CovistaError('draining', 'stopping'));
    expect(codeOf(await outcome)).toBe('draining');
    const lonely = gatewayFor({ 'dataset.list': () => Promise.reject(abortError()) });
    expect(codeOf(await lonely.dispatch(callOf('dataset.list', {})))).toBe('internal');
  });

  test('RPC13 a call that was cancelled before its handler asks for the signal finds it aborted', async () => {
    const gateway = gatewayFor({ 'dataset.list': (_input, { signal }) => signal.aborted }, { authorize: () => Promise.reject(new Error()) });
    const call = callOf('dataset.list', {});
    call.cancel(new CovistaError('cancelled', 'gone'));
    expect(await gateway.dispatch(call)).toEqual({ kind: 'value', value: true });
  });

  test('RPC14 what takes longer than it may but ends well is not undone', async () => {
    const gateway = gatewayFor({
      'dataset.list': (_input, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve('done'))),
    });
    expect(await gateway.dispatch(callOf('dataset.list', {}))).toEqual({ kind: 'value', value: 'done' });
  });

  test('RPC14 the time limit of a stream holds for each item, not for a slow reader, and a stream without end has none', async () => {
    const gateway = gatewayFor({
      'diff.stream': async function* (_input: unknown, { signal }: CallContext) {
        yield 1;
        yield 2;
        await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
      'dataset.watch': async function* () {
        await new Promise((resolve) => setTimeout(resolve, 60));
        yield 'late';
      },
    });
    const outcome = await gateway.dispatch(callOf('diff.stream', { datasetId: 1, from: 'a', to: 'b' }));
    if (outcome.kind !== 'stream') throw new Error('it is no stream');
    const items: unknown[] = [];
    const drain = async (): Promise<void> => {
      for await (const item of outcome.items) {
        items.push(item);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    await expect(drain()).rejects.toMatchObject({ code: 'timeout' });
    expect(items).toEqual([1, 2]);
    const watch = await gateway.dispatch(callOf('dataset.watch', { datasetId: 1 }));
    if (watch.kind !== 'stream') throw new Error('it is no stream');
    for await (const item of watch.items) expect(item).toBe('late');
  });
});

describe('idempotency', () => {
  test('VC17 REST9 a command with a key that succeeded before is not run again; the key belongs to its caller and its input', async () => {
    const memory = new Memory();
    let runs = 0;
    const gateway = gatewayFor(
      {
        'dataset.create': async (_input, context) => {
          runs += 1;
          const result = { datasetId: runs };
          memory.keep(context, result);
          return result;
        },
      },
      { idempotency: memory },
    );
    const create = (input: unknown, options: { key?: string; actor?: Actor }) => gateway.dispatch(callOf('dataset.create', input, options));
    expect(await create({ name: 'a' }, { key: 'k' })).toMatchObject({ value: { datasetId: 1 } });
    expect(await create({ labels: [], name: 'a' }, { key: 'k' })).toMatchObject({ value: { datasetId: 1 } });
    expect(codeOf(await create({ name: 'b' }, { key: 'k' }))).toBe('conflict');
    expect(await create({ name: 'a' }, { key: 'k', actor: { ...alice, subject: 'bob' } })).toMatchObject({ value: { datasetId: 2 } });
    expect(await create({ name: 'a' }, {})).toMatchObject({ value: { datasetId: 3 } });
    expect(memory.finds[0]?.inputHash).toMatch(/^[0-9a-f]{64}$/);
  });

  test('VC17 what changes nothing that lasts is not looked for among what is remembered, and runs again', async () => {
    const memory = new Memory();
    let runs = 0;
    const view = { tableId: `dataset_1_v1_${'0'.repeat(32)}`, viewId: `view_${'0'.repeat(32)}` };
    const gateway = gatewayFor({ 'view.close': () => ({ runs: ++runs }) }, { idempotency: memory });
    for (const wanted of [1, 2]) expect(await gateway.dispatch(callOf('view.close', view, { key: 'k' }))).toMatchObject({ value: { runs: wanted } });
    expect(memory.finds).toEqual([]);
  });

  test('VC17 commands with one key at once run once; a failure lets the next one run', async () => {
    let runs = 0;
    const waiting: (() => void)[] = [];
    const gateway = gatewayFor({
      'dataset.create': async () => {
        runs += 1;
        await new Promise<void>((resolve) => waiting.push(resolve));
        if (runs === 1) throw new CovistaError('unavailable', 'try again');
        return { datasetId: runs };
      },
    });
    const outcomes = Promise.all([1, 2, 3].map(() => gateway.dispatch(callOf('dataset.create', { name: 'a' }, { key: 'k' }))));
    const other = await gateway.dispatch(callOf('dataset.create', { name: 'b' }, { key: 'k' }));
    expect(codeOf(other)).toBe('conflict');
    await expect.poll(() => waiting.length).toBe(1);
    waiting[0]?.();
    await expect.poll(() => waiting.length).toBe(2);
    waiting[1]?.();
    expect((await outcomes).map(codeOf)).toEqual(['error', 'value', 'value'].map((kind, index) => (index === 0 ? 'unavailable' : kind)));
    expect(runs).toBe(2);
  });

  test('VC17 REST9 a key is ignored by queries, and is a short text', async () => {
    const gateway = gatewayFor({ 'dataset.list': () => 'listed', 'dataset.create': () => 'made' });
    expect(await gateway.dispatch(callOf('dataset.list', {}, { key: 'k' }))).toEqual({ kind: 'value', value: 'listed' });
    for (const key of ['', 'x'.repeat(201), 'a\nb', 'a\0'])
      expect(codeOf(await gateway.dispatch(callOf('dataset.create', { name: 'a' }, { key })))).toBe('invalid_input');
  });
});
