/**
 * Reads the first part of a CSV text (RFC 4180, with any delimiter) to learn its delimiter, its header and sample values.
 * The rows themselves are read by DuckDB, whose parser agrees with this one on what is well formed.
 */
export interface CsvSample {
  readonly delimiter: string;
  readonly header: readonly string[];
  /** Blank lines before the header. */
  readonly skippedLines: number;
  /** Values of well-formed rows; null is an empty field without quotes. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** Whether every row was well formed. */
  readonly clean: boolean;
  /** Whether lines end in different ways, which DuckDB's parser refuses. */
  readonly mixedNewlines: boolean;
}

interface Parsed {
  readonly records: (string | null)[][];
  readonly clean: boolean;
  readonly newlines: ReadonlySet<string>;
  /** Whether the last record reaches the end of the text without a line break. */
  readonly open: boolean;
}

const DELIMITERS = [',', '\t', ';', '|'] as const;
const RECORDS_TO_COMPARE = 50;
const CHARS_TO_COMPARE = 65_536;

/** Undefined when the header does not end within the text, though the file goes on. */
export function sampleCsv(text: string, complete: boolean): CsvSample | undefined {
  const skippedLines = countBlankLines(text);
  const body = skippedLines === 0 ? text : text.replace(/^(?:\r\n|\n|\r)+/, '');
  const delimiter = chooseDelimiter(body);
  const parsed = parseRecords(body, delimiter, Number.POSITIVE_INFINITY);
  if (!complete && parsed.open) parsed.records.pop();
  const [head, ...records] = parsed.records;
  if (head === undefined) return undefined;
  const header = head.map((name) => (name ?? '').trim());
  const rows = records.filter((record) => fits(record, header.length)).map((record) => record.slice(0, header.length));
  return {
    delimiter,
    header,
    skippedLines,
    rows,
    clean: parsed.clean && rows.length === records.filter((record) => !isBlank(record)).length,
    mixedNewlines: parsed.newlines.size > 1,
  };
}

/** A row may end with one delimiter too many; DuckDB accepts that too. */
function fits(record: readonly (string | null)[], columns: number): boolean {
  if (record.length === columns) return true;
  return record.length === columns + 1 && record[columns] === null;
}

function isBlank(record: readonly (string | null)[]): boolean {
  return record.length === 1 && record[0] === null;
}

function countBlankLines(text: string): number {
  const blank = /^(?:\r\n|\n|\r)+/.exec(text)?.[0] ?? '';
  return blank.match(/\r\n|\n|\r/g)?.length ?? 0;
}

/** The delimiter under which most of the first rows have as many fields as the header, and more than one. */
function chooseDelimiter(text: string): string {
  const head = text.slice(0, CHARS_TO_COMPARE);
  let best: { delimiter: string; score: number; fields: number } = { delimiter: ',', score: 0, fields: 1 };
  for (const delimiter of DELIMITERS) {
    const { records } = parseRecords(head, delimiter, RECORDS_TO_COMPARE);
    const fields = records[0]?.length ?? 1;
    if (fields < 2) continue;
    const rows = records.slice(1).filter((record) => !isBlank(record));
    const score = rows.length === 0 ? 1 : rows.filter((record) => fits(record, fields)).length / rows.length;
    if (score > best.score || (score === best.score && fields > best.fields)) best = { delimiter, score, fields };
  }
  return best.delimiter;
}

const QUOTE = 34;
const LF = 10;
const CR = 13;
const SPACE = 32;

function parseRecords(text: string, delimiter: string, recordsMax: number): Parsed {
  const separator = delimiter.charCodeAt(0);
  const newlines = new Set<string>();
  const records: (string | null)[][] = [];
  let record: (string | null)[] = [];
  let clean = true;
  let at = 0;
  let open = false;
  while (at < text.length && records.length < recordsMax) {
    const field = readField(text, at, separator);
    clean &&= field.clean;
    record.push(field.value);
    at = field.end;
    const code = text.charCodeAt(at);
    open = at >= text.length;
    if (code === separator) {
      at += 1;
      if (at === text.length) record.push(null);
      open = at === text.length;
      if (!open) continue;
    } else if (code === CR && text.charCodeAt(at + 1) === LF) {
      newlines.add('\r\n');
      at += 2;
    } else if (!open) {
      newlines.add(text[at] ?? '');
      at += 1;
    }
    records.push(record);
    record = [];
  }
  return { records, clean, newlines, open };
}

interface Field {
  readonly value: string | null;
  readonly end: number;
  readonly clean: boolean;
}

function readField(text: string, start: number, separator: number): Field {
  let at = start;
  while (text.charCodeAt(at) === SPACE) at += 1;
  if (text.charCodeAt(at) === QUOTE) return readQuoted(text, at, separator);
  at = fieldEnd(text, start, separator);
  return { value: at === start ? null : text.slice(start, at), end: at, clean: true };
}

function readQuoted(text: string, start: number, separator: number): Field {
  let at = start + 1;
  for (;;) {
    at = text.indexOf('"', at);
    if (at < 0) return { value: text.slice(start + 1), end: text.length, clean: false };
    if (text.charCodeAt(at + 1) !== QUOTE) break;
    at += 2;
  }
  const value = text.slice(start + 1, at).replaceAll('""', '"');
  const end = fieldEnd(text, at + 1, separator);
  return { value, end, clean: text.slice(at + 1, end).trim() === '' };
}

function fieldEnd(text: string, start: number, separator: number): number {
  let at = start;
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === separator || code === LF || code === CR) break;
  }
  return at;
}
