import type { CovistaError } from '../../../protocol/errors.ts';
import type { TableId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { unreachable } from '../../shared/assert.ts';
import { decodeRequest, decodeResponse, EnvelopeFault, encodeResponse, errorResponse, messageIdOf } from '../../shared/perspective/codec.ts';
import { type ResponseHeader, withHeader } from '../../shared/perspective/header.ts';
import { isEngineCode } from '../../shared/perspective/schema.ts';
import type { EngineCode, PerspectiveRequest, PerspectiveResponse, ResponseBody, ResponseKind, StatusCode } from '../../shared/perspective/types.ts';
import type { EngineTable, TableEngine } from './engine.ts';
import { EngineLink } from './engine-link.ts';
import { asGiven, givenConfig } from './given-config.ts';
import { ALLOWED, type Way } from './guard-rules.ts';
import type { CheckedTable } from './named-columns.ts';
import { RequestFault } from './request-fault.ts';
import { type SessionView, SessionViews } from './session-views.ts';
import { checkConfig, checkExpressions, forEngine } from './view-check.ts';
import { withinView } from './viewport-check.ts';

export interface GuardOptions {
  readonly tableId: TableId;
  readonly table: EngineTable;
  readonly dialect: TableEngine['dialect'];
  readonly limits: Limits;
  /** Whose session it is. */
  readonly holder: string;
  /** Takes one response; the bytes belong to it. Of some errors it gets the code too, for which Perspective's protocol has no place. */
  respond(bytes: Uint8Array, code?: EngineCode): void;
  /** The engine has lost the session. */
  lost(reason: CovistaError): void;
  /** How long making a view or reading a window took, in seconds. */
  computed(seconds: number): void;
}

type Request<Kind> = Extract<PerspectiveRequest, { readonly kind: Kind }>;

const ERROR_CHARS_MAX = 2_000;
/** How much memory the server uses is nobody's business. */
const NO_SYSTEM_INFO = { heap_size: 0, used_size: 0, cpu_time: 0, cpu_time_epoch: 0 };

/**
 * Stands between a session and its engine, because Perspective's server is no security boundary: it lets requests of a fixed
 * list pass, to the session's own table and views alone, in a form that it wrote itself.
 */
export class Guard {
  readonly #options: GuardOptions;
  readonly #engine: EngineLink;
  readonly #checked: CheckedTable;
  readonly #views: SessionViews;
  /** `msg_id` of callbacks that the session registered. Tables never change, so that none but `view_on_delete` is ever called. */
  readonly #callbacks = new Set<number>();
  #isClosed = false;

  constructor(options: GuardOptions) {
    const { table, dialect, limits, holder } = options;
    this.#options = options;
    this.#checked = { table, dialect, limits };
    this.#views = new SessionViews(limits);
    this.#engine = new EngineLink({
      table,
      limits,
      holder,
      lost: (reason) => options.lost(reason),
      computed: (seconds) => options.computed(seconds),
    });
  }

  /** Takes one request of the session; never throws for what it says. */
  receive(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    let request: PerspectiveRequest;
    try {
      request = decodeRequest(bytes);
    } catch (fault) {
      if (!(fault instanceof EnvelopeFault)) throw fault;
      // What cannot be read as a whole may still say whom to answer.
      this.#options.respond(errorResponse(messageIdOf(bytes) ?? 0, '', `this request is not allowed: ${fault.message}`));
      return;
    }
    this.#attempt(request, () => this.#handle(request));
  }

  /** Frees what the session has in the engine. */
  close(): void {
    this.#isClosed = true;
    this.#callbacks.clear();
    this.#views.clear();
    this.#engine.close();
  }

  #attempt(request: PerspectiveRequest, work: () => void): void {
    try {
      work();
    } catch (fault) {
      if (!(fault instanceof RequestFault)) throw fault;
      this.#refuse(request, fault.message, fault.status);
    }
  }

  #handle(request: PerspectiveRequest): void {
    const rule = ALLOWED.get(request.kind);
    if (rule === undefined) throw new RequestFault(`${request.kind} is not allowed: tables are shared and cannot be changed`);
    if (rule.about === 'table' && request.entityId !== this.#options.tableId) throw new RequestFault('there is no such table in this session');
    const view = rule.about === 'view' ? this.#views.get(request.entityId) : undefined;
    if (rule.about === 'view') {
      if (view === undefined) throw new RequestFault('there is no such view in this session', 'view_not_found');
      this.#handleView(request, view, rule.way);
    } else this.#handleOther(request, rule.way);
  }

  #handleOther(request: PerspectiveRequest, way: Way): void {
    if (request.kind === 'table_make_view') this.#makeView(request);
    else if (request.kind === 'table_validate_expr') this.#validate(request);
    else if (way === 'listen') this.#listen(request);
    else if (way === 'unlisten') this.#unlisten(request);
    else this.#answerItself(request);
  }

  #handleView(request: PerspectiveRequest, view: SessionView, way: Way): void {
    if (way === 'resize') this.#resize(request, view);
    else if (way === 'forward') this.#forward(request, view);
    else if (way === 'window') this.#readWindow(request, view);
    else if (way === 'drop') this.#drop(request, view);
    else if (way === 'listen') this.#listen(request, view);
    else if (way === 'unlisten') this.#unlisten(request, view);
  }

  #answerItself(request: PerspectiveRequest): void {
    const { table, tableId } = this.#options;
    const { kind } = request;
    if (kind === 'get_features') this.#answer(request, kind, table.features);
    else if (kind === 'server_system_info') this.#answer(request, kind, NO_SYSTEM_INFO);
    else if (kind === 'table_make_port') this.#answer(request, kind, { port_id: 0 });
    else if (kind === 'table_size') this.#answer(request, kind, { size: table.rows });
    else if (kind === 'table_schema') {
      this.#answer(request, kind, { schema: { schema: [...table.schema].map(([name, type]) => ({ name, type })) } });
    } else if (kind === 'get_hosted_tables') {
      // Who subscribes is called when tables come or go, which they do not.
      if (request.body.subscribe) this.#listen(request);
      else this.#answer(request, kind, { table_infos: [{ entity_id: tableId }] });
    } else unreachable(kind as never, 'a request that the guard answers itself');
  }

  #makeView(request: Request<'table_make_view'>): void {
    const config = checkConfig(request.body.config, this.#checked);
    const view = this.#views.add(request.body.view_id, givenConfig(request.body.config, config));
    try {
      this.#engine.send({ ...request, body: { view_id: view.engineId, config } }, (header, bytes) => {
        if (header.kind === 'table_make_view') this.#answer(request, header.kind, { view_id: view.clientId });
        else {
          this.#forget(view);
          this.#attempt(request, () => this.#explain(request, config.expressions, () => this.#pass(request, header, bytes)));
        }
      });
    } catch (fault) {
      this.#forget(view);
      throw fault;
    }
  }

  /** What the engine of the `memory` tables says of a view does not name the expression that it is about: it is asked for each. */
  #explain(request: Request<'table_make_view'>, expressions: Readonly<Record<string, string>>, pass: () => void): void {
    if (Object.keys(expressions).length === 0 || this.#options.dialect !== 'exprtk') {
      pass();
      return;
    }
    const question = { ...request, kind: 'table_validate_expr', body: { column_to_expr: expressions } } as const;
    this.#engine.send(question, (header, bytes) => {
      const response = header.kind === 'table_validate_expr' ? decodeResponse(bytes) : undefined;
      const [fault] = response?.kind === 'table_validate_expr' ? Object.entries(response.body.errors) : [];
      if (fault === undefined) pass();
      else this.#refuse(request, `the expression ${JSON.stringify(fault[0])}: ${fault[1].error_message}`);
    });
  }

  /** A view is no more, and nobody listens to it. */
  #forget(view: SessionView): void {
    for (const msgId of view.callbacks) this.#callbacks.delete(msgId);
    view.callbacks.clear();
    this.#views.delete(view);
  }

  /** Whatever the engine says of a deletion: for the session the view is gone. */
  #drop(request: PerspectiveRequest, view: SessionView): void {
    this.#engine.send({ ...request, entityId: view.engineId }, (header, bytes) => {
      for (const msgId of view.onDelete) {
        this.#options.respond(encodeResponse({ msgId, entityId: view.clientId, kind: 'view_on_delete', body: {} }));
      }
      this.#pass(request, header, bytes);
    });
    this.#forget(view);
  }

  /** The engine sees what passed; what did not is added to its answer. */
  #validate(request: Request<'table_validate_expr'>): void {
    const { column_to_expr: asked } = request.body;
    const faults = checkExpressions(asked, this.#checked);
    const good = Object.fromEntries(Object.entries(asked).filter(([name]) => !faults.has(name)));
    const errors = Object.fromEntries([...faults].map(([name, message]) => [name, { error_message: message, line: 0, column: 0 }]));
    this.#engine.send({ ...request, body: { column_to_expr: forEngine(good, this.#checked) } }, (header, bytes) => {
      const response = header.kind === 'table_validate_expr' ? decodeResponse(bytes) : undefined;
      if (response?.kind !== 'table_validate_expr') this.#pass(request, header, bytes);
      else this.#answer(request, response.kind, { ...response.body, errors: { ...response.body.errors, ...errors }, expression_alias: asked });
    });
  }

  /** A window is read once the size of its view is known. */
  #readWindow(request: PerspectiveRequest, view: SessionView): void {
    if (view.size !== undefined) {
      this.#forward(withinView(request, view.size, this.#options.limits), view);
      return;
    }
    const { resizes } = view;
    const question: PerspectiveRequest = { msgId: 0, entityId: view.engineId, kind: 'view_dimensions', body: {} };
    this.#engine.send(question, (header, bytes) => {
      this.#attempt(request, () => {
        if (header.kind !== 'view_dimensions') return this.#pass(request, header, bytes);
        if (view.resizes !== resizes) return this.#readWindow(request, view);
        view.size = sizeIn(bytes);
        this.#forward(withinView(request, view.size, this.#options.limits), view);
      });
    });
  }

  /** A size that is told meanwhile may be the one before or the one after. */
  #resize(request: PerspectiveRequest, view: SessionView): void {
    const forget = (): void => {
      view.size = undefined;
      view.resizes += 1;
    };
    forget();
    this.#engine.send({ ...request, entityId: view.engineId }, (header, bytes) => {
      forget();
      this.#pass(request, header, bytes);
    });
  }

  #forward(request: PerspectiveRequest, view: SessionView): void {
    const { resizes } = view;
    this.#engine.send({ ...request, entityId: view.engineId }, (header, bytes) => {
      if (header.kind === 'view_dimensions' && view.resizes === resizes) view.size = sizeIn(bytes);
      if (header.kind === 'view_get_config') this.#answerConfig(request, view, bytes);
      else this.#pass(request, header, bytes);
    });
  }

  /** A configuration comes back with what was given. */
  #answerConfig(request: PerspectiveRequest, { given }: SessionView, bytes: Uint8Array): void {
    const response = decodeResponse(bytes);
    const config = response.kind === 'view_get_config' ? response.body.config : null;
    this.#answer(request, 'view_get_config', { config: config && asGiven(config, given) });
  }

  /** Passes an answer on. Names that are the engine's own never reach the session. */
  #pass(request: PerspectiveRequest, header: ResponseHeader, bytes: Uint8Array): void {
    const { msgId, entityId, kind } = request;
    const error = header.kind === 'server_error' ? decodeResponse(bytes) : undefined;
    if (error?.kind === 'server_error') this.#refuse(request, withoutEngineIds(error.body.message), error.body.status_code);
    else if (header.kind === kind) this.#options.respond(withHeader(bytes, header, { msgId, entityId }));
    else this.#refuse(request, 'the engine gave no answer to this');
  }

  #listen({ msgId, kind }: PerspectiveRequest, view?: SessionView): void {
    const { sessionCallbacksMax: callbacksMax } = this.#options.limits;
    if (this.#callbacks.size >= callbacksMax) throw new RequestFault(`a session has at most ${callbacksMax} callbacks`);
    this.#callbacks.add(msgId);
    view?.callbacks.add(msgId);
    if (kind === 'view_on_delete') view?.onDelete.add(msgId);
  }

  #unlisten(request: PerspectiveRequest, view?: SessionView): void {
    const { id } = request.body as { readonly id: number };
    this.#callbacks.delete(id);
    view?.callbacks.delete(id);
    view?.onDelete.delete(id);
    this.#answer(request, request.kind, {} as never);
  }

  #answer<Kind extends ResponseKind>({ msgId, entityId }: PerspectiveRequest, kind: Kind, body: ResponseBody<Kind>): void {
    this.#options.respond(encodeResponse({ msgId, entityId, kind, body } as PerspectiveResponse));
  }

  #refuse({ msgId, entityId }: PerspectiveRequest, message: string, status: StatusCode = 'server_error'): void {
    const code = isEngineCode(status) ? status : undefined;
    const bytes = errorResponse(msgId, entityId, message.slice(0, ERROR_CHARS_MAX), code === undefined ? status : 'server_error');
    this.#options.respond(bytes, code);
  }
}

function sizeIn(bytes: Uint8Array): NonNullable<SessionView['size']> {
  const response = decodeResponse(bytes);
  const size = response.kind === 'view_dimensions' ? response.body : undefined;
  return { rows: size?.num_view_rows ?? 0, columns: size?.num_view_columns ?? 0 };
}

const withoutEngineIds = (message: string): string => message.replace(/\bview-\d+\b/g, 'this view');
