import * as z from 'zod/v4';
import { isPlain } from '../record.ts';

/** What a JSON text can say, and nothing that a Yjs value can hold beside it: bytes, bigints, undefined, shared types. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** Deep enough for any configuration; a document is walked recursively by everyone who has it. */
const DEPTH_MAX = 32;

const encoder = new TextEncoder();

/** Bytes of the value as JSON in UTF-8. */
export function jsonBytes(value: unknown): number {
  return encoder.encode(JSON.stringify(value) ?? '').length;
}

/** The first thing about a value that JSON cannot say, in words; undefined when there is none. */
export function jsonFault(value: unknown, depth = 0): string | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'must not hold numbers that are not finite';
  if (depth >= DEPTH_MAX) return `must not be nested deeper than ${DEPTH_MAX}`;
  if (Array.isArray(value)) return firstFault(value, depth);
  if (isPlain(value)) return firstFault(Object.values(value), depth);
  return 'must be plain JSON: texts, numbers, booleans, null, lists and objects';
}

function firstFault(values: readonly unknown[], depth: number): string | undefined {
  for (const value of values) {
    const fault = jsonFault(value, depth + 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/**
 * Whether an object within a value has fields that are not its own: that is what decoders of Yjs make of a field `__proto__`, and who
 * reads a field by its name would find them, while who goes through all fields would not.
 */
export function inheritsFields(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
  return (!Array.isArray(value) && !isPlain(value)) || Object.values(value).some(inheritsFields);
}

/** Any JSON of at most so many bytes. */
export function json(bytesMax: number): z.ZodType<Json> {
  return z.unknown().superRefine((value, context) => {
    const message = jsonFault(value) ?? (jsonBytes(value) > bytesMax ? `must have at most ${bytesMax} bytes as JSON` : undefined);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  }) as z.ZodType<Json>;
}

/** A refinement for objects whose fields are described elsewhere. */
export function jsonOfAtMost(bytesMax: number): (value: unknown, context: z.RefinementCtx) => void {
  return (value, context) => {
    const message = jsonFault(value) ?? (jsonBytes(value) > bytesMax ? `must have at most ${bytesMax} bytes as JSON` : undefined);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  };
}
