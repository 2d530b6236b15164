import type { FileHead } from '../../index.ts';
import { html } from '../ui/dom.ts';
import { byteSize } from '../ui/format.ts';
import type { ProgressBar } from '../upload/progress-bar.ts';

/** Gathers the bytes of a file, showing how far it is, and hands it to the browser to save. */
export async function saveBytes(
  head: Pick<FileHead, 'bytes' | 'contentType' | 'fileName'>,
  bytes: AsyncIterable<Uint8Array>,
  bar: ProgressBar,
): Promise<void> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let done = 0;
  for await (const piece of bytes) {
    pieces.push(piece as Uint8Array<ArrayBuffer>);
    done += piece.length;
    bar.set(`${byteSize(done)}${head.bytes === null ? '' : ` of ${byteSize(head.bytes)}`}`, { done, total: head.bytes });
  }
  const url = URL.createObjectURL(new Blob(pieces, { type: head.contentType }));
  html('a', { href: url, download: head.fileName }).click();
  // The browser has taken hold of it by the next task.
  setTimeout(() => URL.revokeObjectURL(url));
}
