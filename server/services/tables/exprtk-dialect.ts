/** A call of `bucket` whose unit is a quarter, in a text in which strings, columns and comments are passed over whole. */
const PIECES = /"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'|\/\/[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\//g;

/**
 * An expression as Perspective's own engine takes it: it has no quarters, but buckets of three months, which begin with the
 * year and are the same.
 */
export function exprtkForEngine(expression: string): string {
  return expression.replace(PIECES, (piece, at: number) => (piece === "'Q'" && isWidth(expression.slice(0, at)) ? "'3M'" : piece));
}

/** Whether what comes before is a call of `bucket` up to its last value: the innermost bracket that is open is that of `bucket`. */
function isWidth(before: string): boolean {
  const bare = before.replace(PIECES, (piece) => '_'.repeat(piece.length));
  if (!/,\s*$/.test(bare)) return false;
  let open = 0;
  for (let at = bare.length - 1; at >= 0; at -= 1) {
    if (bare[at] === ')') open += 1;
    else if (bare[at] === '(' && open === 0) return /(?:^|[^A-Za-z0-9_.])bucket\s*$/i.test(bare.slice(0, at));
    else if (bare[at] === '(') open -= 1;
  }
  return false;
}
