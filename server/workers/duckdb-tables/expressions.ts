import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { EngineError } from '../../storage/parquet/engine-error.ts';
import { checkExpressionText } from '../../storage/parquet/filter-check.ts';
import { identifier } from '../../storage/parquet/quote.ts';
import type { Session } from '../../storage/parquet/session.ts';
import { type ColumnKind, kindOfType, type TableColumn } from './column-types.ts';
import { translateExprtk } from './exprtk.ts';
import { ExpressionFault } from './exprtk-tokens.ts';
import { ViewFault } from './view-fault.ts';

/** A column that a view computes. */
export interface CheckedExpression {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly type: string;
  /** Over the columns of the table by their names; NULL where it cannot be computed. */
  readonly sql: string;
  readonly columns: readonly string[];
}

export interface ExpressionContext {
  readonly session: Session;
  readonly columns: readonly TableColumn[];
  readonly limits: Limits;
}

interface Draft {
  readonly sql: string;
  readonly columns: readonly string[];
  readonly keepsIntegers: boolean;
}

/**
 * Checks an expression and finds its type. It is read as ExprTK, the language of Perspective's own engine, and where it is
 * none as an expression of SQL, which is checked like a row filter. Throws ExpressionFault with the place of the first fault.
 */
export async function checkExpression(context: ExpressionContext, name: string, source: string): Promise<CheckedExpression> {
  if (context.columns.some((column) => column.name === name)) throw new ExpressionFault('has the name of a column of the table', 0);
  if (source.length > context.limits.filterCharsMax) throw new ExpressionFault('is too long', context.limits.filterCharsMax);
  const exprtk = asExprtk(context, source);
  if (exprtk instanceof ExpressionFault) return typed(context, name, await asSql(context, source, exprtk));
  return typed(context, name, exprtk);
}

function asExprtk({ columns, limits }: Pick<ExpressionContext, 'columns' | 'limits'>, source: string): Draft | ExpressionFault {
  try {
    const draft = translateExprtk(source, {
      isInteger: (name) => columns.some((column) => column.name === name && column.kind === 'integer'),
      textGrowthMax: limits.viewTextGrowthMax,
    });
    const unknown = draft.columns.find((used) => !columns.some(({ name }) => name === used));
    return unknown === undefined
      ? draft
      : new ExpressionFault(`there is no column ${JSON.stringify(unknown)}`, Math.max(0, source.indexOf(`"${unknown}`)));
  } catch (fault) {
    if (fault instanceof ExpressionFault) return fault;
    throw fault;
  }
}

async function asSql({ session, columns, limits }: ExpressionContext, source: string, exprtk: ExpressionFault): Promise<Draft> {
  try {
    const schema = columns.map(({ name, type }, columnId) => ({ columnId, name, type, nullable: true }));
    const checked = await checkExpressionText(session, source, schema, limits);
    return { sql: checked.sql, columns: checked.columns.map(({ name }) => name), keepsIntegers: true };
  } catch (fault) {
    if (fault instanceof CovistaError && fault.code === 'invalid_input') {
      throw new ExpressionFault(`${exprtk.message}; as SQL: ${fault.message.replace(/^rowFilter: /, '')}`, exprtk.at);
    }
    throw fault;
  }
}

/** Has DuckDB say of what type it is, over columns without rows. */
async function typed({ session, columns }: ExpressionContext, name: string, draft: Draft): Promise<CheckedExpression> {
  const empty = columns.map((column) => `CAST(NULL AS ${column.type}) AS ${identifier(column.name)}`).join(', ');
  const type = await describe(session, `SELECT (${draft.sql}) AS value FROM (SELECT ${empty})`);
  const made = castOf(type, draft);
  if (made === undefined) throw new ExpressionFault(`is of type ${type}, which a view cannot show`, 0);
  const kind = kindOfType(made.type);
  if (kind === undefined) throw new ViewFault(`an expression of type ${made.type}`);
  return { name, kind, type: made.type, sql: `TRY(${made.sql})`, columns: draft.columns };
}

async function describe(session: Session, sql: string): Promise<string> {
  try {
    const [column] = await session.describe(sql);
    return String(column?.type ?? '');
  } catch (fault) {
    if (!(fault instanceof EngineError)) throw fault;
    throw new ExpressionFault(fault.message.split('\n')[0] ?? 'does not fit the types of its columns', 0);
  }
}

/** The SQL that gives an expression one of the types that columns have; undefined where there is none. */
function castOf(type: string, { sql, keepsIntegers }: Draft): { type: string; sql: string } | undefined {
  const kind = kindOfType(type);
  if (kind === 'integer' && !keepsIntegers) return { type: 'DOUBLE', sql: `CAST(${sql} AS DOUBLE)` };
  if (kind !== undefined) return { type, sql };
  if (/^TIMESTAMP/.test(type)) return { type: 'TIMESTAMP', sql: `CAST(${sql} AS TIMESTAMP)` };
  if (type === '"NULL"' || type === 'SQLNULL') return { type: 'VARCHAR', sql: `CAST(${sql} AS VARCHAR)` };
  return /^(UUID|ENUM\(|INTERVAL|TIME)/.test(type) ? { type: 'VARCHAR', sql: `CAST(${sql} AS VARCHAR)` } : undefined;
}
