import type { EngineTable } from '../../server/services/tables/engine.ts';
import { decodeRequest, decodeResponse, encodeResponse } from '../../server/shared/perspective/codec.ts';
import type { PerspectiveRequest, PerspectiveResponse, WireFeatures } from '../../server/shared/perspective/types.ts';

const FEATURES = decodeResponse(encodeResponse({ msgId: 1, entityId: '', kind: 'get_features', body: {} as WireFeatures })).body as WireFeatures;

export interface FakeEngine {
  readonly table: EngineTable;
  readonly asked: PerspectiveRequest[];
  respond(response: PerspectiveResponse): void;
  closed: number;
}

interface FakeOptions {
  readonly bytes?: number;
  /** Whether it throws at every request. */
  readonly fail?: boolean;
  /** What it answers by itself. */
  readonly answer?: (request: PerspectiveRequest) => object;
}

/** A table whose engine answers when the test says so. */
export function fakeTable(options: FakeOptions = {}): FakeEngine {
  const asked: PerspectiveRequest[] = [];
  let respond: (bytes: Uint8Array) => void = () => undefined;
  const fake: FakeEngine = {
    asked,
    closed: 0,
    respond: (response) => respond(encodeResponse(response)),
    table: {
      rows: 10,
      bytes: options.bytes ?? 0,
      schema: new Map([['a', 'integer']]),
      features: FEATURES,
      connect: (peer) => {
        respond = (bytes) => peer.respond(bytes);
        return {
          handle: (request) => {
            if (options.fail === true) throw new Error('the engine is broken');
            const decoded = decodeRequest(request);
            asked.push(decoded);
            const { msgId, entityId, kind } = decoded;
            const body = options.answer?.(decoded);
            if (body !== undefined) queueMicrotask(() => fake.respond({ msgId, entityId, kind, body } as PerspectiveResponse));
          },
          close: () => undefined,
        };
      },
      onLost: () => () => undefined,
      close: () => {
        fake.closed += 1;
      },
    },
  };
  return fake;
}
