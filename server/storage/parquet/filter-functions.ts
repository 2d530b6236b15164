/**
 * The functions that a row filter may call: each gives the same result for the same row whoever asks and whenever, reads
 * nothing but its arguments, and makes nothing that is much larger than they are. A test compares them with what DuckDB says
 * of its functions. LIKE is the function `~~`; `IN` on a list is `contains`; `INTERVAL 3 DAY` is `to_days`.
 */
const OPERATORS = ['+', '-', '*', '/', '//', '%', '&', '|', '||', '~~', '!~~', '~~*', '!~~*', '~~~', '^@'];

const TEXTS = [
  ...['lower', 'upper', 'lcase', 'ucase', 'trim', 'ltrim', 'rtrim', 'length', 'len', 'char_length', 'character_length', 'strlen'],
  ...['substring', 'substr', 'left', 'right', 'contains', 'starts_with', 'ends_with', 'prefix', 'suffix', 'concat', 'strip_accents'],
  ...['position', 'strpos', 'instr', 'split_part', 'regexp_matches', 'regexp_full_match', 'ascii', 'unicode'],
  ...['like_escape', 'not_like_escape', 'ilike_escape', 'not_ilike_escape'],
];

const NUMBERS = ['abs', 'ceil', 'ceiling', 'floor', 'round', 'trunc', 'sign', 'mod', 'greatest', 'least', 'isnan', 'isinf', 'isfinite'];

const TIMES = [
  ...['date_part', 'datepart', 'date_trunc', 'datetrunc', 'date_diff', 'datediff', 'year', 'quarter', 'month', 'week', 'day'],
  ...['dayofyear', 'dayofweek', 'isodow', 'isoyear', 'hour', 'minute', 'second', 'epoch', 'last_day', 'make_date', 'strftime'],
  ...['to_years', 'to_months', 'to_weeks', 'to_days', 'to_hours', 'to_minutes', 'to_seconds'],
];

const OTHERS = ['nullif', 'list_value', 'list_contains', 'list_has', 'array_contains', 'array_has', 'list_has_any', 'list_has_all', 'array_length'];

export const FILTER_FUNCTIONS: ReadonlySet<string> = new Set([...OPERATORS, ...TEXTS, ...NUMBERS, ...TIMES, ...OTHERS]);
