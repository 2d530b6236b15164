import { DOCUMENT_MESSAGE, documentOpened, refusal } from './documents/messages.ts';
import { DOCUMENT_SHAPES, type MapShape } from './documents/shape.ts';
import { ERRORS } from './errors.ts';
import { FRAME } from './frame.ts';
import { jsonSchemaOf } from './json-schema.ts';
import { operationsByName } from './operations/index.ts';

/** Everything that the two sides must agree on: operations with their shapes, frames, error codes. */
export function describeProtocol(): unknown {
  return {
    operations: [...operationsByName].map(([name, { kind, input, output, body, stepUp, errors, http }]) => ({
      name,
      kind,
      input: jsonSchemaOf(input, 'input'),
      output: jsonSchemaOf(output, 'output'),
      body: body ?? null,
      stepUp: stepUp ?? false,
      errors,
      http: http ?? null,
    })),
    frames: FRAME,
    errors: Object.entries(ERRORS).map(([code, { status, retry, closes }]) => [code, status, retry, closes]),
    documents: {
      messages: DOCUMENT_MESSAGE,
      opened: jsonSchemaOf(documentOpened, 'output'),
      refusal: jsonSchemaOf(refusal, 'output'),
      maps: Object.entries(DOCUMENT_SHAPES).map(([kind, maps]) => [kind, Object.entries(maps).map(describeMap)]),
    },
  };
}

function describeMap([name, { entry, shared }]: [string, MapShape]): unknown {
  return { name, entry: jsonSchemaOf(entry, 'output'), shared };
}

/** The first 16 hexadecimal digits of the SHA-256 of the description. */
export async function fingerprint(): Promise<string> {
  const text = new TextEncoder().encode(JSON.stringify(describeProtocol()));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', text));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
