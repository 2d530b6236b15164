import type { Limits } from '../../../protocol/limits.ts';
import type { Control } from '../content-store.ts';
import type { Column, Conversion, ConversionError, FileFormat, PendingColumn } from '../stores.ts';
import type { Broker, BrokerControl } from './broker.ts';
import type { OpenedSource } from './source.ts';
import type { Staging } from './staging.ts';

/** What every reader of a format is given. */
export interface IngestContext {
  readonly source: OpenedSource;
  readonly declared: FileFormat | undefined;
  readonly onto: readonly Column[] | undefined;
  readonly broker: Broker;
  readonly staging: Staging;
  readonly limits: Limits;
  /** With the time that a commit may take. */
  readonly control: BrokerControl;
}

/** What a reader returns: the Parquet file that it wrote, not yet sealed, or null when no row could be read. */
export interface Converted {
  readonly format: FileFormat;
  readonly schema: readonly PendingColumn[];
  /** Columns of `onto` that the source lacks; absent: none. */
  readonly missing?: readonly string[];
  readonly path: string | null;
  readonly rows: number;
  readonly conversion: Conversion;
}

export function commitControl(control: Control, limits: Limits): BrokerControl {
  return { ...control, timeoutMs: limits.commitTimeoutMs };
}

/** The outcome of a conversion: damage to the compressed stream counts as one more error. */
export function conversionOf(
  rows: number,
  rejected: { readonly count: number; readonly errors: ConversionError[] },
  source: OpenedSource,
): Conversion {
  const errors = source.damage === undefined ? rejected.errors : [...rejected.errors, source.damage];
  const errorCount = rejected.count + (source.damage === undefined ? 0 : 1);
  return { status: errorCount === 0 ? 'complete' : rows > 0 ? 'partial' : 'failed', errorCount, errors };
}

/** A conversion of which no row could be read, with its one reason. */
export function failedConversion(format: FileFormat, reason: string, source: OpenedSource, schema: readonly PendingColumn[] = []): Converted {
  const error = { line: null, column: null, byte: null, reason };
  return { format, schema, path: null, rows: 0, conversion: conversionOf(0, { count: 1, errors: [error] }, source) };
}

export function nullableColumn(name: string, type: string): PendingColumn {
  return { name, type, nullable: true };
}
