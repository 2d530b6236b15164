import * as Y from 'yjs';
import { defaultLimits } from '../../protocol/limits.ts';

/** What joining updates adds to them at most. */
const JOINING_BYTES = 1024;

export interface Bounds {
  readonly bytesMax: number;
  readonly structsMax: number;
}

/** What one message may have. */
export const MESSAGE: Bounds = { bytesMax: defaultLimits.documentUpdateBytesMax, structsMax: defaultLimits.documentUpdateStructsMax };
/** Of joined updates that are to go in one. */
const PORTION: Bounds = { ...MESSAGE, bytesMax: MESSAGE.bytesMax - JOINING_BYTES };

/** How many items an update has, or how many removals where these are more. */
export function structsOf(update: Uint8Array): number {
  const { structs, ds } = Y.decodeUpdate(update);
  return Math.max(
    structs.length,
    [...ds.clients.values()].reduce((sum, ranges) => sum + ranges.length, 0),
  );
}

/** Updates joined in order to as few as stay within the bounds; one that is larger by itself stays alone. */
export function portions(updates: readonly Uint8Array[], { bytesMax, structsMax }: Bounds = PORTION): Uint8Array[] {
  const groups: Uint8Array[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  let structs = 0;
  for (const update of updates) {
    const own = structsOf(update);
    bytes += update.length;
    structs += own;
    if (bytes <= bytesMax && structs <= structsMax) groups.at(-1)?.push(update);
    else {
      groups.push([update]);
      bytes = update.length;
      structs = own;
    }
  }
  return groups.map(joined);
}

export function joined(updates: readonly Uint8Array[]): Uint8Array {
  const [first = new Uint8Array(), ...rest] = updates;
  return rest.length === 0 ? first : Y.mergeUpdates([first, ...rest]);
}
