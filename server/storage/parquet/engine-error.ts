import { CovistaError } from '../../../protocol/errors.ts';

/** What DuckDB says of a statement that failed, when it is not a matter of room, time or memory. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  /** DuckDB's own exception type, such as `Conversion`, `Invalid Input`, `IO` or `Binder`. */
  readonly type: string;
  /** The byte of the statement that it speaks of, where it names one. */
  readonly position: number | undefined;

  constructor(type: string, message: string, cause?: unknown, position?: number) {
    super(message, { cause });
    this.type = type;
    this.position = position;
  }
}

interface EngineReport {
  readonly exception_type: string;
  readonly exception_message: string;
  readonly errno?: string;
  readonly position?: string;
}

/** errno of a full disk, a used-up quota and a file over the process's size limit. */
const NO_ROOM = new Set(['28', '122', '27']);

/** Turns what the bindings throw into a typed error. The instances report errors as JSON (`errors_as_json`). */
export function translateEngineError(error: unknown): Error {
  const report = error instanceof Error ? reportOf(error.message) : undefined;
  if (report === undefined) return error instanceof Error ? error : new Error(String(error));
  const { exception_type: type, exception_message: message, errno, position } = report;
  if (type === 'Out of Memory') return new CovistaError('memory_limit', 'the query engine has no memory left for this', {}, error);
  if (type === 'INTERRUPT') return new CovistaError('cancelled', 'the query was interrupted', {}, error);
  if (errno !== undefined && NO_ROOM.has(errno)) return new CovistaError('storage_full', 'there is no room left to write the file', {}, error);
  return new EngineError(type, message, error, position === undefined ? undefined : Number(position));
}

/** Parser errors carry a prefix before the JSON. */
function reportOf(message: string): EngineReport | undefined {
  const start = message.indexOf('{');
  if (start < 0) return undefined;
  try {
    const report: Partial<EngineReport> = JSON.parse(message.slice(start));
    return typeof report.exception_type === 'string' && typeof report.exception_message === 'string' ? (report as EngineReport) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether Node's own file functions failed for want of room. */
export function isOutOfRoom(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
}
