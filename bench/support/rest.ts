import { createReadStream, statSync } from 'node:fs';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

const READ_BYTES = 1024 * 1024;

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

/** Commits a file as any HTTP client would: its bytes, streamed, are the body. */
export async function commitOverRest({ url, token, datasetId, branch, path }: Upload): Promise<CommitAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<CommitAnswer>();
  const headers = { authorization: `Bearer ${token}`, 'content-length': statSync(path).size };
  const outgoing = request(`${url}/api/datasets/${datasetId}/branches/${branch}/commit`, { method: 'POST', headers }, (response) => {
    text(response).then((body) => {
      if (response.statusCode === 201) resolve(JSON.parse(body) as CommitAnswer);
      else reject(new Error(`a commit was answered ${response.statusCode}: ${body}`));
    }, reject);
  });
  outgoing.once('error', reject);
  const [answer] = await Promise.all([promise, pipeline(createReadStream(path, { highWaterMark: READ_BYTES }), outgoing)]);
  return answer;
}
