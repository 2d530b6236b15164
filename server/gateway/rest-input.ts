import { CovistaError } from '../../protocol/errors.ts';
import { concatenate } from '../../protocol/fragments.ts';
import type { JsonSchema } from '../../protocol/json-schema.ts';
import { coerce, inputFields } from './coerce.ts';
import type { HttpRequest } from './http.ts';
import { fromHeaders } from './request-headers.ts';
import type { Match } from './route-table.ts';

export interface InputSource {
  readonly request: HttpRequest;
  readonly match: Match;
  /** Without `token`. */
  readonly query: URLSearchParams;
  readonly jsonBytesMax: number;
}

/**
 * The input of an operation, not validated yet: path parameters, the JSON body where the route has one, the query, and the
 * headers that the route maps to fields. Where two of them name one field the former wins.
 */
export async function readInput(source: InputSource): Promise<Record<string, unknown>> {
  const { match, request } = source;
  const fields = inputFields(match.route.operation);
  const path = Object.fromEntries(Object.entries(match.parameters).map(([name, text]) => [name, coerce(fields[name], [text])]));
  const headers = fromHeaders(match.route.http, fields, request);
  const query = readQuery(fields, source.query);
  const json = hasJsonBody(match) ? await readJson(request, source.jsonBytesMax) : {};
  return { ...headers, ...query, ...json, ...path };
}

function hasJsonBody({ route }: Match): boolean {
  return route.operation.body === undefined && ['POST', 'PUT', 'PATCH'].includes(route.http.method);
}

function readQuery(fields: Readonly<Record<string, JsonSchema>>, query: URLSearchParams): Record<string, unknown> {
  return Object.fromEntries([...new Set(query.keys())].map((name) => [name, coerce(fields[name], query.getAll(name))]));
}

async function readJson(request: HttpRequest, bytesMax: number): Promise<Record<string, unknown>> {
  const bytes = await collect(request.body, bytesMax);
  if (bytes.length === 0) return {};
  const type = request.header('content-type').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw new CovistaError('invalid_input', 'the body must be sent as Content-Type: application/json');
  const value = parse(bytes);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new CovistaError('invalid_input', 'the body must be a JSON object');
}

async function collect(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new CovistaError('payload_too_large', `a JSON body has at most ${bytesMax} bytes`, { bytesMax });
    chunks.push(chunk.slice());
  }
  return concatenate(chunks);
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new CovistaError('invalid_input', 'the body is not valid JSON in UTF-8', {}, cause);
  }
}
