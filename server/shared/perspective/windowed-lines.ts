import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from './codec.ts';
import { readHeader } from './header.ts';
import { rowTexts } from './json-rows.ts';

/**
 * Perspective's own engine writes every row of a view as NDJSON, whatever window is asked for: lines of a window are made of its
 * rows in JSON. The request for those, where one asks for lines.
 */
export function rowsInsteadOfLines(request: Uint8Array): Uint8Array | undefined {
  // The header of a request is like that of its response.
  if (readHeader(request)?.kind !== 'view_to_ndjson_string') return undefined;
  const asked = decodeRequest(request);
  return asked.kind === 'view_to_ndjson_string' ? encodeRequest({ ...asked, kind: 'view_to_rows_string' }) : undefined;
}

/** The answer to a request for lines, of that to one for rows; any other answer as it is. */
export function linesInsteadOfRows(response: Uint8Array): Uint8Array {
  const answer = decodeResponse(response);
  if (answer.kind !== 'view_to_rows_string') return response;
  const ndjson_string = [...rowTexts(answer.body.json_string)].join('\n');
  return encodeResponse({ ...answer, kind: 'view_to_ndjson_string', body: { ndjson_string } });
}
