import { CovistaError } from '../../protocol/errors.ts';
import type { Logger } from '../shared/log.ts';

interface Peer {
  respond(bytes: Uint8Array): void;
  lost(reason: CovistaError): void;
}

/** Passes an answer of an engine on. Where it cannot be read its session ends, and nobody else notices: then `end` is called. */
export function passOn(
  bytes: Uint8Array,
  { peer, log, end }: { readonly peer: Peer | undefined; readonly log: Logger; readonly end: () => void },
): void {
  try {
    peer?.respond(bytes);
  } catch (error) {
    log.error({ err: error }, 'an engine of tables gave an answer that cannot be read; the session ends');
    end();
    peer?.lost(new CovistaError('unavailable', 'the engine of the table gave an answer that cannot be read; open it again'));
  }
}
