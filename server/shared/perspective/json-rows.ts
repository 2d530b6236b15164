/** The texts of the objects of a JSON array, one by one. Of their values none is an object. */
export function* rowTexts(json: string): Generator<string> {
  let start = json.indexOf('{');
  let at = start;
  let brace = -1;
  while (start >= 0) {
    if (brace < at) brace = json.indexOf('}', at);
    if (brace < 0) return;
    const quote = json.indexOf('"', at);
    if (quote >= 0 && quote < brace) {
      at = endOfText(json, quote + 1);
      continue;
    }
    yield json.slice(start, brace + 1);
    start = json.indexOf('{', brace + 1);
    at = start;
  }
}

/** Where a text ends whose first character is at a place: behind the next quote that is not escaped. */
function endOfText(json: string, from: number): number {
  let quote = json.indexOf('"', from);
  while (quote >= 0 && isEscaped(json, quote)) quote = json.indexOf('"', quote + 1);
  return quote < 0 ? json.length : quote + 1;
}

function isEscaped(json: string, at: number): boolean {
  let backslashes = 0;
  while (json[at - 1 - backslashes] === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}
