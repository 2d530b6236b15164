import * as z from 'zod/v4';
import { defaultLimits } from './limits.ts';

/**
 * Rules for the names that people give (SPEC.md, NAME1 to NAME4). Control characters, and the characters that refs, paths
 * and shells give a meaning to, are refused here once, so that nothing behind the gateway ever meets them; so is U+FFFD,
 * which decoders put where a text was not valid Unicode: it would be kept as another name than the one that was sent.
 */
const CONTROL = /\p{Cc}|\p{Cs}|[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffd]/u;
const POINTER_FORBIDDEN = /[~@'"`\\;<>|*?^:]/;

/** The first rule that a text breaks as a branch or tag name, in words; undefined when it breaks none. */
export function pointerNameFault(name: string): string | undefined {
  if (name.length === 0) return 'must not be empty';
  if (name.length > defaultLimits.pointerNameCharsMax) return `must have at most ${defaultLimits.pointerNameCharsMax} characters`;
  if (CONTROL.test(name)) return 'must not contain control, invisible or replacement characters';
  if (POINTER_FORBIDDEN.test(name)) return 'must not contain any of ~ @ \' " ` \\ ; < > | * ? ^ :';
  if (name.includes('..')) return 'must not contain ".."';
  if (name === '.') return 'must not be ".", which addresses leave out';
  if (name.startsWith('/') || name.endsWith('/') || name.includes('//')) return 'must not begin or end with a slash nor contain two in a row';
  if (name.trim() !== name) return 'must not begin or end with white space';
  if (/^\d+$/.test(name)) return 'must not be all digits, which would read as a version number';
  if (name.toLowerCase() === 'latest') return '"latest" is reserved for the head of main';
  return undefined;
}

/** The first rule that a text breaks as a dataset name, in words; undefined when it breaks none. */
export function datasetNameFault(name: string): string | undefined {
  if (name.trim().length === 0) return 'must not be empty';
  if (name.length > defaultLimits.datasetNameCharsMax) return `must have at most ${defaultLimits.datasetNameCharsMax} characters`;
  if (CONTROL.test(name)) return 'must not contain control, invisible or replacement characters';
  if (/\.\.[\\/]/.test(name)) return 'must not contain "../"';
  return undefined;
}

/** Text that people read, such as a commit message: line breaks and tabs are welcome, other control characters are not. */
export function plainTextFault(text: string): string | undefined {
  return /[^\P{Cc}\n\r\t]|\p{Cs}/u.test(text) ? 'must not contain control characters' : undefined;
}

function named(fault: (text: string) => string | undefined): z.ZodString {
  return z.string().superRefine((text, context) => {
    const message = fault(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
}

export const pointerName = named(pointerNameFault).describe('Branch or tag name');
export const datasetName = named(datasetNameFault).describe('Dataset name, as people read it');

export const plainText = (charsMax: number): z.ZodString => named(plainTextFault).max(charsMax);

/** Any text that resolves to a version: a branch, a tag, a version id, `latest`, `REF~N` or `BRANCH@TIME`. */
export const ref = z
  .string()
  .min(1)
  .max(defaultLimits.refCharsMax)
  .refine((text) => !CONTROL.test(text), 'must not contain control, invisible or replacement characters')
  .describe('Branch, tag, version id, latest, REF~N or BRANCH@TIME');

export const columnName = z.string().min(1).max(defaultLimits.columnNameCharsMax).describe('Column name');
