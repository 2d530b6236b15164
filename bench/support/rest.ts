import { type FileHandle, open } from 'node:fs/promises';
import { type ClientRequest, request } from 'node:http';
import { text } from 'node:stream/consumers';

const READ_BYTES = 256 * 1024;

export interface Upload {
  readonly url: string;
  readonly token: string;
  readonly datasetId: number;
  readonly branch: string;
  readonly path: string;
}

export interface CommitAnswer {
  readonly versionId: number;
  readonly rows: number;
  readonly conversion: { readonly status: string };
}

/** Commits a file as any HTTP client would, its bytes being the body, and with little more work than the server cannot do without. */
export async function commitOverRest({ url, token, datasetId, branch, path }: Upload): Promise<CommitAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<CommitAnswer>();
  const file = await open(path);
  const headers = { authorization: `Bearer ${token}`, 'content-length': (await file.stat()).size };
  const outgoing = request(`${url}/api/datasets/${datasetId}/branches/${branch}/commit`, { method: 'POST', headers }, (response) => {
    text(response).then((body) => {
      if (response.statusCode === 201) resolve(JSON.parse(body) as CommitAnswer);
      else reject(new Error(`a commit was answered ${response.statusCode}: ${body}`));
    }, reject);
  });
  outgoing.once('error', reject);
  const [answer] = await Promise.all([promise, send(file, outgoing)]);
  return answer;
}

/** Reads into one buffer while the other is being sent: streams would take fresh memory for every piece. */
async function send(file: FileHandle, outgoing: ClientRequest): Promise<void> {
  const buffers = [Buffer.alloc(READ_BYTES), Buffer.alloc(READ_BYTES)] as const;
  let sent: Promise<void> = Promise.resolve();
  for (let piece = 0; ; piece += 1) {
    const buffer = buffers[piece % 2 === 0 ? 0 : 1];
    const { bytesRead } = await file.read(buffer, 0, READ_BYTES);
    await sent;
    if (bytesRead === 0) break;
    sent = write(outgoing, buffer.subarray(0, bytesRead));
  }
  outgoing.end();
  await file.close();
}

function write(outgoing: ClientRequest, bytes: Uint8Array): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  outgoing.write(bytes, (error) => (error ? reject(error) : resolve()));
  return promise;
}
