/** Damages bytes in one to four ways, each drawn from the choices: bits, bytes, lengths, pieces missing, doubled or swapped. */
export function mutate(original: Uint8Array, choices: Iterator<number>): Uint8Array {
  const draw = (below: number): number => (below <= 0 ? 0 : (choices.next().value as number) % below);
  let bytes = original.slice();
  for (let left = 1 + draw(4); left > 0; left -= 1) {
    const at = draw(bytes.length);
    const kind = draw(6);
    if (kind === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << draw(8));
    else if (kind === 1) bytes[at] = draw(256);
    else if (kind === 2) bytes = bytes.slice(0, at);
    else if (kind === 3) bytes = new Uint8Array([...bytes.slice(0, at), ...bytes.slice(at + 1 + draw(4))]);
    else if (kind === 4) bytes = new Uint8Array([...bytes.slice(0, at), ...bytes.slice(draw(bytes.length), at + draw(8)), ...bytes.slice(at)]);
    else bytes[at] = [0xc1, 0xdd, 0xdf, 0xdb, 0xc6, 0x9f, 0x8f, 0xbf, 0xff, 0xcf][draw(10)] as number;
  }
  return bytes;
}
