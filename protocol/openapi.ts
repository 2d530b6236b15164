import { COMMON_ERRORS, type HttpRoute, type Operation, takesRanges } from './define.ts';
import { ERROR_CODES, ERRORS, type ErrorCode } from './errors.ts';
import { type JsonSchema, jsonSchemaOf } from './json-schema.ts';
import { defaultLimits } from './limits.ts';
import { operationsByName } from './operations/index.ts';
import { PROTOCOL_VERSION } from './version.ts';

type Document = Readonly<Record<string, unknown>>;

/** An operation that has a REST face, with its input taken apart by where each field travels. */
interface Described {
  readonly name: string;
  readonly operation: Operation;
  readonly http: HttpRoute;
  readonly fields: Readonly<Record<string, JsonSchema>>;
  readonly required: readonly string[];
  readonly inPath: readonly string[];
  /** Whether what is not in the path travels as a JSON body rather than in the query. */
  readonly hasJsonBody: boolean;
  readonly example: Readonly<Record<string, unknown>>;
}

/** The REST face of the registry as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0). */
export function openApi(): Document {
  const described = [...operationsByName].flatMap(([name, operation]) =>
    operation.http === undefined ? [] : [describe(name, operation, operation.http)],
  );
  const paths: Record<string, Record<string, unknown>> = {};
  for (const entry of described) {
    paths[entry.http.path] ??= {};
    Object.assign(paths[entry.http.path] as object, { [entry.http.method.toLowerCase()]: pathOperation(entry) });
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Covista',
      version: String(PROTOCOL_VERSION),
      description: 'Versioned tabular data, over REST; `ws /rpc` offers the same operations',
    },
    tags: [...new Set(described.map(tagOf))].map((name) => ({ name })),
    security: [{ bearer: [] }, { token: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        token: { type: 'apiKey', in: 'query', name: 'token', description: 'For clients that cannot set headers' },
      },
      schemas: { Error: errorSchema() },
    },
  };
}

function describe(name: string, operation: Operation, http: HttpRoute): Described {
  const { properties = {}, required = [] } = jsonSchemaOf(operation.input, 'input');
  return {
    name,
    operation,
    http,
    fields: properties,
    required,
    inPath: [...http.path.matchAll(/\{([^}]+)\}/g)].map(([, parameter]) => parameter as string),
    hasJsonBody: operation.body === undefined && ['POST', 'PUT', 'PATCH'].includes(http.method),
    example: operation.example.input as Readonly<Record<string, unknown>>,
  };
}

const tagOf = ({ name }: Described): string => name.split('.', 1)[0] as string;

function pathOperation(entry: Described): Document {
  const { name, operation } = entry;
  const body = requestBody(entry);
  return {
    operationId: name,
    summary: operation.summary,
    tags: [tagOf(entry)],
    ...(operation.permission.action === 'public' ? { security: [] } : {}),
    parameters: parameters(entry),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: { ...success(entry), ...failures(entry) },
  };
}

function parameters(entry: Described): Document[] {
  const { fields, required, inPath, hasJsonBody, http, operation, example } = entry;
  const described = (name: string, place: 'path' | 'query'): Document => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: fields[name] ?? {},
    ...(isList(fields[name]) ? { style: 'form', explode: false } : {}),
    ...(name in example ? { example: example[name] } : {}),
  });
  const inQuery = hasJsonBody ? [] : Object.keys(fields).filter((name) => !inPath.includes(name) && !isObject(fields[name]));
  return [
    ...inPath.map((name) => described(name, 'path')),
    ...inQuery.map((name) => described(name, 'query')),
    ...Object.entries(http.headers ?? {}).map(([field, header]) => ({
      name: header,
      in: 'header',
      schema: { type: 'string' },
      description: fields[field]?.description ?? `Fills \`${field}\` where the query does not`,
    })),
    ...(operation.kind === 'command' ? [idempotencyKey()] : []),
    ...(isRevalidated(entry) ? [IF_NONE_MATCH] : []),
  ];
}

/** Whether asking again can be answered with 304. */
const isRevalidated = ({ operation, http }: Described): boolean =>
  http.response === 'file' || (operation.kind === 'query' && http.method === 'GET' && http.status === undefined);

const choicesOf = (schema: JsonSchema | undefined): readonly JsonSchema[] => schema?.anyOf ?? (schema === undefined ? [] : [schema]);
const isList = (schema: JsonSchema | undefined): boolean => choicesOf(schema).some(({ type }) => type === 'array');
const isObject = (schema: JsonSchema | undefined): boolean => choicesOf(schema).some(({ type }) => type === 'object');

const IF_NONE_MATCH: Document = {
  name: 'if-none-match',
  in: 'header',
  schema: { type: 'string' },
  description: 'The `ETag` of an answer that the caller has kept; if it still holds, the answer is 304',
};

function idempotencyKey(): Document {
  return {
    name: 'idempotency-key',
    in: 'header',
    schema: { type: 'string', minLength: 1, maxLength: defaultLimits.idempotencyKeyCharsMax },
    description: 'A command that is repeated with the same key answers with the first result and does nothing',
  };
}

function requestBody({ operation, hasJsonBody, fields, required, inPath, example }: Described): Document | undefined {
  if (operation.body !== undefined) {
    return {
      description: 'The bytes, as they are',
      content: { 'application/octet-stream': { schema: { type: 'string', contentMediaType: 'application/octet-stream' } } },
    };
  }
  const names = Object.keys(fields).filter((name) => !inPath.includes(name));
  if (!hasJsonBody || names.length === 0) return undefined;
  const pick = (record: Readonly<Record<string, unknown>>): Document =>
    Object.fromEntries(names.flatMap((name) => (name in record ? [[name, record[name]]] : [])));
  const mandatory = required.filter((name) => names.includes(name));
  const schema = { type: 'object', properties: pick(fields), additionalProperties: false, ...(mandatory.length > 0 ? { required: mandatory } : {}) };
  return { required: mandatory.length > 0, content: { 'application/json': { schema, example: pick(example) } } };
}

const bytes = { '*/*': { schema: { type: 'string', contentMediaType: 'application/octet-stream' } } };

function success(entry: Described): Document {
  const { operation, http } = entry;
  if (http.response === 'file') return fileSuccess(http);
  const status = http.status ?? 200;
  if (status === 204) return { 204: { description: 'Done' } };
  const schema = jsonSchemaOf(operation.output, 'output');
  const { output } = operation.example;
  if (http.response === 'ndjson') {
    return {
      200: {
        description: 'One item a line; an error ends the stream as a last line `{"error": …}`',
        content: { 'application/x-ndjson': { schema } },
      },
    };
  }
  const json = { schema: http.response === 'content' ? withoutContent(schema) : schema, ...(output === undefined ? {} : { example: output }) };
  return {
    [status]: { description: operation.summary, content: { 'application/json': json, ...(http.response === 'content' ? bytes : {}) } },
    ...(isRevalidated(entry) ? { 304: { description: 'What would be read is what `If-None-Match` names' } } : {}),
  };
}

function fileSuccess(http: HttpRoute): Document {
  return {
    200: { description: 'The whole file', content: bytes },
    ...(takesRanges(http) ? { 206: { description: 'The range that was asked for', content: bytes } } : {}),
    304: { description: 'The caller has this file already' },
  };
}

/** What a value that is sent as bytes can be in JSON. */
function withoutContent(schema: JsonSchema): JsonSchema {
  return { anyOf: choicesOf(schema).filter(({ properties = {} }) => !('content' in properties)) };
}

/** Errors by status; several codes may share one. */
function failures(entry: Described): Document {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of errorsOf(entry)) {
    const { status } = ERRORS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const described = [...byStatus].map(([status, codes]) => [
    status,
    {
      description: codes.map((code) => `\`${code}\`: ${ERRORS[code].meaning}`).join('. '),
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
    },
  ]);
  return Object.fromEntries(described);
}

/** Those of the operation, and those that its way over HTTP brings: a body may be too large, and an idempotency key be used for something else. */
function errorsOf({ operation, hasJsonBody }: Described): ReadonlySet<ErrorCode> {
  return new Set([
    ...COMMON_ERRORS,
    ...operation.errors,
    ...(operation.stepUp === true ? (['step_up_required'] as const) : []),
    ...(hasJsonBody ? (['payload_too_large'] as const) : []),
    ...(operation.kind === 'command' ? (['conflict'] as const) : []),
  ]);
}

function errorSchema(): Document {
  const error = {
    type: 'object',
    required: ['code', 'message', 'details'],
    properties: {
      code: { type: 'string', enum: ERROR_CODES },
      message: { type: 'string', description: 'For people; never to be matched on' },
      details: { type: 'object', additionalProperties: true },
    },
  };
  return { type: 'object', required: ['error'], properties: { error } };
}
