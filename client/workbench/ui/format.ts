const INTEGER = new Intl.NumberFormat('en');
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const DATE_TIME = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

export const integer = (value: number): string => INTEGER.format(value);
export const compact = (value: number): string => COMPACT.format(value);

/** `1 row`, `2 rows`. */
export const counted = (count: number, noun: string, plural = `${noun}s`): string => `${integer(count)} ${count === 1 ? noun : plural}`;

const BYTE_UNITS = ['B', 'KB', 'MB', 'GB', 'TB'];

export function byteSize(bytes: number): string {
  const power = Math.min(BYTE_UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log(bytes) / Math.log(1000)));
  const scaled = bytes / 1000 ** power;
  return `${power === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${BYTE_UNITS[power]}`;
}

export const dateTime = (instant: string): string => DATE_TIME.format(new Date(instant));

const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

/** How long ago: `3 hours ago`; under a minute it is `just now`. */
export function ago(instant: string, nowMs = Date.now()): string {
  const seconds = (Date.parse(instant) - nowMs) / 1000;
  const step = STEPS.find(([, length]) => Math.abs(seconds) >= length);
  return step === undefined ? 'just now' : RELATIVE.format(Math.trunc(seconds / step[1]), step[0]);
}

/** A cell as text; a value that is absent is shown as nothing. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(12)));
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const NUMERIC = /^(?:U?(?:TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL.*)$/;

/** Whether a column of this SQL type reads better aligned to the right. */
export const isNumeric = (type: string): boolean => NUMERIC.test(type);
