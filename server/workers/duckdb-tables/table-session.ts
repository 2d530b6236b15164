import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { throwIfAborted, unlessAborted } from '../../shared/abort.ts';
import { KeyedMutex } from '../../shared/mutex.ts';
import { decodeRequest, encodeResponse, messageIdOf } from '../../shared/perspective/codec.ts';
import { isEngineCode } from '../../shared/perspective/schema.ts';
import type { PerspectiveRequest, PerspectiveResponse } from '../../shared/perspective/types.ts';
import { EngineError } from '../../storage/parquet/engine-error.ts';
import { planView } from './plan.ts';
import type { Queries } from './queries.ts';
import { checkedExpressions, SUBSCRIPTIONS, TABLE_REQUESTS, type TableRequestContext, VIEW_REQUESTS, type ViewRequestContext } from './requests.ts';
import type { Query } from './result.ts';
import type { HostedTable, Results } from './results.ts';
import { windowTooLarge } from './text-room.ts';
import { View } from './view.ts';
import { ViewFault } from './view-fault.ts';
import { readWireConfig } from './wire-config.ts';

export interface TableSessionParts {
  readonly hosted: HostedTable;
  /** The name under which the table is hosted. */
  readonly key: string;
  /** Whose session it is. */
  readonly holder: string;
  readonly limits: Limits;
  readonly queries: Queries;
  readonly results: Results;
  /** Resolves when it is the session's turn to do something that takes long. */
  readonly turn: () => Promise<void>;
  /** Takes a Response of the protocol. */
  readonly respond: (bytes: Uint8Array) => void;
  /** Told of faults that the one who asked is told nothing about, because what they say may be data. */
  readonly onFault: (fault: unknown) => void;
}

/** A view from when it is asked for; its requests wait for it, and for one another. */
interface ViewEntry {
  readonly ready: Promise<View>;
  /** Ends the making of it. */
  readonly controller: AbortController;
  /** Requests that wait for it. */
  waiting: number;
}

type Answer = Pick<PerspectiveResponse, 'kind' | 'body'>;

/** Speaks Perspective's protocol with one client about one table. */
export class TableSession {
  readonly #parts: TableSessionParts;
  readonly #views = new Map<string, ViewEntry>();
  readonly #order = new KeyedMutex<ViewEntry>();
  readonly #controller = new AbortController();
  readonly #context: TableRequestContext;

  constructor(parts: TableSessionParts) {
    this.#parts = parts;
    const query: Query = (work) => parts.queries.run('interactive', this.#controller.signal, work);
    this.#context = { hosted: parts.hosted, key: parts.key, limits: parts.limits, query };
  }

  /** How many views it has. */
  get views(): number {
    return this.#views.size;
  }

  /** Answers one Request, with its number, sooner or later. */
  async handle(bytes: Uint8Array): Promise<void> {
    let request: PerspectiveRequest | undefined;
    try {
      request = decodeRequest(bytes);
      const answer = await this.#answer(request);
      if (answer !== undefined) this.#send({ ...answer, msgId: request.msgId, entityId: request.entityId } as PerspectiveResponse);
    } catch (fault) {
      const msgId = request?.msgId ?? messageIdOf(bytes) ?? 0;
      this.#send({ msgId, entityId: request?.entityId ?? '', kind: 'server_error', body: this.#errorBody(fault) });
    }
  }

  /** Frees its views, those that are still being made too; resolves when they are given back. Nothing is sent any more. */
  async close(): Promise<void> {
    this.#controller.abort(new CovistaError('cancelled', 'the session has ended'));
    const views = [...this.#views.values()];
    this.#views.clear();
    for (const { controller } of views) controller.abort(this.#controller.signal.reason);
    // Those that could not be made have nothing.
    for (const made of await Promise.allSettled(views.map(({ ready }) => ready))) if (made.status === 'fulfilled') made.value.close();
  }

  #send(response: PerspectiveResponse): void {
    if (this.#controller.signal.aborted) return;
    const bytes = encodeResponse(response);
    const { viewBytesMax } = this.#parts.limits;
    if (bytes.length <= viewBytesMax) this.#parts.respond(bytes);
    else this.#parts.respond(encodeResponse({ ...response, kind: 'server_error', body: this.#errorBody(windowTooLarge(viewBytesMax)) }));
  }

  async #answer(request: PerspectiveRequest): Promise<Answer | undefined> {
    if (SUBSCRIPTIONS.includes(request.kind)) return undefined;
    if (request.kind === 'get_hosted_tables' && request.body.subscribe) return undefined;
    if (request.kind === 'table_make_view') return this.#makeView(request.body);
    if (request.kind === 'view_delete') return this.#deleteView(request.entityId);
    const ofTable = TABLE_REQUESTS[request.kind] as ((context: TableRequestContext, body: unknown) => Promise<Answer> | Answer) | undefined;
    if (ofTable !== undefined) return ofTable(this.#context, request.body);
    const ofView = VIEW_REQUESTS[request.kind] as ((context: ViewRequestContext, body: unknown) => Promise<Answer> | Answer) | undefined;
    if (ofView === undefined) throw new ViewFault(`"${request.kind}" cannot be done: the table is read only`);
    return this.#onView(request.entityId, (view) => ofView({ ...this.#context, view }, request.body));
  }

  async #makeView({ view_id: id, config }: Extract<PerspectiveRequest, { kind: 'table_make_view' }>['body']): Promise<Answer> {
    if (this.#views.has(id)) throw new ViewFault('there is a view of this name already');
    const controller = new AbortController();
    const ready = this.#createView(config, controller.signal);
    this.#views.set(id, { ready, controller, waiting: 0 });
    try {
      await ready;
    } catch (fault) {
      // It may have been deleted, and made again.
      if (this.#views.get(id)?.ready === ready) this.#views.delete(id);
      throw fault;
    }
    return { kind: 'table_make_view', body: { view_id: id } };
  }

  async #createView(wire: Extract<PerspectiveRequest, { kind: 'table_make_view' }>['body']['config'], signal: AbortSignal): Promise<View> {
    const { hosted, holder, results } = this.#parts;
    await this.#parts.turn();
    throwIfAborted(signal);
    const expressions = await checkedExpressions(this.#context, wire);
    const plan = planView(hosted.table, readWireConfig(wire), expressions);
    throwIfAborted(signal);
    const view = new View(await results.acquire(hosted, { plan, wire }, { holder, signal }), plan.config.groupDepth);
    try {
      throwIfAborted(signal);
      await unlessAborted(view.start(), signal);
      return view;
    } catch (fault) {
      view.close();
      throw fault;
    }
  }

  async #deleteView(id: string): Promise<Answer> {
    const entry = this.#entryOf(id);
    this.#views.delete(id);
    if (entry.waiting === 0) entry.controller.abort(new CovistaError('cancelled', 'the view was deleted'));
    // Whoever asked for a view that is not made is told why; it is gone in any case.
    const view = await entry.ready.catch(() => undefined);
    await this.#order.run(entry, async () => view?.close());
    return { kind: 'view_delete', body: {} };
  }

  async #onView(id: string, work: (view: View) => Promise<Answer> | Answer): Promise<Answer> {
    const entry = this.#entryOf(id);
    entry.waiting += 1;
    const view = await entry.ready.finally(() => {
      entry.waiting -= 1;
    });
    return this.#order.run(entry, async () => {
      // Hundreds that wait are not done in one go: others get their turn between, and an end is heard.
      await this.#parts.turn();
      throwIfAborted(this.#controller.signal);
      return work(view);
    });
  }

  #entryOf(id: string): ViewEntry {
    const entry = this.#views.get(id);
    if (entry === undefined) throw new ViewFault('there is no view of this name', 'view_not_found');
    return entry;
  }

  #errorBody(fault: unknown): Extract<PerspectiveResponse, { kind: 'server_error' }>['body'] {
    if (fault instanceof ViewFault) return { message: fault.message, status_code: fault.status };
    if (fault instanceof CovistaError) return { message: fault.message, status_code: isEngineCode(fault.code) ? fault.code : 'server_error' };
    if (fault instanceof EngineError && fault.type === 'Out of Range') {
      return { message: 'a number of this view would have more digits than its type holds', status_code: 'server_error' };
    }
    this.#parts.onFault(fault);
    return { message: 'this cannot be computed of the data of this table', status_code: 'server_error' };
  }
}
