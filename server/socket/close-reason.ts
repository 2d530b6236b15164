/** Bytes of a reason in a close frame (RFC 6455, section 5.5, less the two of the code). */
const BYTES_MAX = 123;
const CUT = '…';

/** As much of a message as a close frame has room for, in whole characters. */
export function closeReason(message: string): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= BYTES_MAX) return message;
  let end = BYTES_MAX - Buffer.byteLength(CUT);
  // Bytes that go on with a character begin with the bits 10.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return `${bytes.toString('utf8', 0, end)}${CUT}`;
}
