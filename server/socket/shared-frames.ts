import { encodeFrame, FRAME } from '../../protocol/frame.ts';

/** Longer messages cost more to send than to encode, and are not worth keeping. */
const MESSAGE_BYTES_MAX = 16 * 1024;
/** Numbers of channels for which a frame is kept: clients that do the same at first have the same. */
const NUMBERS_MAX = 16;

let latest: Uint8Array | undefined;
const frames = new Map<number, Uint8Array>();

/**
 * The frame of a message on a channel, if the message before was the same: what goes to many in a row is encoded once for all whose
 * channels have one number. Undefined: whoever sends it encodes it themselves. The frame is everybody's, and nobody's to change.
 */
export function sharedChannelFrame(number: number, message: Uint8Array): Uint8Array | undefined {
  if (message !== latest) {
    latest = message.length <= MESSAGE_BYTES_MAX ? message : undefined;
    frames.clear();
    return undefined;
  }
  const known = frames.get(number);
  if (known !== undefined || frames.size >= NUMBERS_MAX) return known;
  const frame = encodeFrame([FRAME.channel, number, message]);
  frames.set(number, frame);
  return frame;
}
