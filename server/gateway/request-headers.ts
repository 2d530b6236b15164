import type { HttpRoute } from '../../protocol/define.ts';
import type { JsonSchema } from '../../protocol/json-schema.ts';
import type { HttpRequest } from './http.ts';

/** The input fields that a route takes from request headers; a header that says nothing usable leaves its field out. */
export function fromHeaders(http: HttpRoute, fields: Readonly<Record<string, JsonSchema>>, request: HttpRequest): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  for (const [field, header] of Object.entries(http.headers ?? {})) {
    const text = request.header(header);
    if (text === '') continue;
    const value = header === 'range' ? parseRange(text) : chooseEncoding(text, textsOf(fields[field]));
    if (value !== undefined) input[field] = value;
  }
  return input;
}

function textsOf(schema: JsonSchema | undefined): string[] {
  return (schema?.enum ?? []).filter((value): value is string => typeof value === 'string');
}

/**
 * One range of bytes (RFC 9110, section 14.1.2); undefined for several ranges, other units and nonsense, which a server is
 * to ignore.
 */
export function parseRange(text: string): { start?: number; end?: number } | undefined {
  const [, first = '', last = ''] = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(text) ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') return { end: Number(last) };
  if (last === '') return { start: Number(first) };
  return Number(last) < Number(first) ? undefined : { start: Number(first), end: Number(last) };
}

/**
 * The content encoding that an Accept-Encoding header weighs highest among those offered (RFC 9110, section 12.5.3). Equal
 * weights go to the one offered last. A bare `*` asks for nothing in particular and gets identity, which everybody can read.
 */
export function chooseEncoding(header: string, offered: readonly string[]): string | undefined {
  const weights = new Map<string, number>();
  for (const part of header.toLowerCase().split(',')) {
    const [coding = '', ...parameters] = part.split(';').map((piece) => piece.trim());
    if (coding !== '') weights.set(coding === 'x-gzip' ? 'gzip' : coding, weightOf(parameters));
  }
  const unnamedIdentity = weights.get('*') === 0 ? 0 : Number.MIN_VALUE;
  const weigh = (coding: string): number => weights.get(coding) ?? (coding === 'identity' ? unnamedIdentity : 0);
  return offered.reduce<string | undefined>((best, coding) => {
    const weight = weigh(coding);
    return weight > 0 && (best === undefined || weight >= weigh(best)) ? coding : best;
  }, undefined);
}

function weightOf(parameters: readonly string[]): number {
  const weight = parameters.find((parameter) => /^q\s*=/.test(parameter));
  if (weight === undefined) return 1;
  const value = Number(weight.slice(weight.indexOf('=') + 1));
  return value >= 0 && value <= 1 ? value : 0;
}

/** Whether an If-None-Match header names the tag; a weak comparison (RFC 9110, section 13.1.2). */
export function matchesAny(header: string, etag: string): boolean {
  const bare = (tag: string): string => tag.trim().replace(/^W\//, '');
  return header.trim() === '*' || header.split(',').some((tag) => bare(tag) === bare(etag));
}
