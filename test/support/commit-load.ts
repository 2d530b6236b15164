import type { Client } from '../../client/index.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { sha256 } from './inspect.ts';
import type { Random } from './random.ts';
import type { RestAnswer } from './rest.ts';
import { csv } from './samples.ts';

/** A commit that the server said it has. */
export interface Acknowledged {
  readonly datasetId: number;
  readonly versionId: number;
  readonly message: string;
  readonly rows: number;
  readonly mode: string;
  /** SHA-256 of the uploaded bytes. */
  readonly sha256: string;
}

/** Commits without end, of several clients at once, and what became of them. */
export interface CommitLoad {
  readonly acknowledged: readonly Acknowledged[];
  /** Messages of all commits that were ever sent. */
  readonly sent: ReadonlySet<string>;
  /** Refusals that commits without a fault met. */
  readonly refused: readonly CovistaError[];
  /** Resolves when so many more commits are acknowledged. */
  more(count: number): Promise<void>;
  /** Sends no more; resolves when every commit under way has ended. */
  stop(): Promise<void>;
}

const ROWS_MAX = 40;
const KEYS_MAX = 1_000;

type Sender = (job: Job) => Promise<Acknowledged | undefined>;

export interface Job {
  readonly datasetId: number;
  readonly branch: string;
  readonly mode: 'replace' | 'append' | 'upsert' | 'delete';
  readonly message: string;
  readonly body: Uint8Array;
}

export interface LoadOptions {
  readonly random: Random;
  readonly datasetIds: readonly [number, ...number[]];
  /** One commit at a time each. */
  readonly senders: readonly Sender[];
}

export function startLoad({ random, datasetIds, senders }: LoadOptions): CommitLoad {
  const acknowledged: Acknowledged[] = [];
  const sent = new Set<string>();
  const refused: CovistaError[] = [];
  let isStopping = false;
  let wake = (): void => undefined;

  const work = async (sender: Sender, number: number): Promise<void> => {
    for (let count = 0; !isStopping; count += 1) {
      const message = `commit ${number}-${count}`;
      const job = { ...draw(random, datasetIds, sent.size), message };
      sent.add(message);
      try {
        const done = await sender(job);
        if (done !== undefined) acknowledged.push(done);
        wake();
      } catch (error) {
        if (!(error instanceof CovistaError)) throw error;
        if (!isStopping) refused.push(error);
        // What is refused at once is not asked again before anybody else had a turn.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  };
  const workers = Promise.all(senders.map(work));
  return {
    acknowledged,
    sent,
    refused,
    more: async (count) => {
      const goal = acknowledged.length + count;
      while (acknowledged.length < goal) {
        await Promise.race([
          workers,
          new Promise<void>((resolve) => {
            wake = resolve;
          }),
        ]);
      }
    },
    stop: async () => {
      isStopping = true;
      await workers;
    },
  };
}

/** A random commit. Keys of upserts and deletions overlap with those of rows; an append brings new ones, as a key is to be unique. */
function draw(random: Random, datasetIds: LoadOptions['datasetIds'], count: number): Omit<Job, 'message'> {
  const mode = random.pick(['replace', 'append', 'append', 'upsert', 'upsert', 'delete']);
  const first = mode === 'append' ? KEYS_MAX + count * ROWS_MAX : 0;
  const keys = Array.from({ length: 1 + random.below(ROWS_MAX) }, (_, index) => (mode === 'append' ? first + index : random.below(KEYS_MAX)));
  const lines = [...new Set(keys)].map((id) => (mode === 'delete' ? String(id) : `${id},name ${random.below(1e6)},${random.below(1e6)}`));
  const body = csv(mode === 'delete' ? 'id' : 'id,name,amount', ...lines);
  return { datasetId: random.pick(datasetIds), branch: random.pick(['main', 'main', 'side']), mode, body };
}

/** Commits over the socket; the SDK repeats what a lost connection left open until it knows. */
export function socketSender(client: Client): Sender {
  return async ({ body, ...input }) => {
    const version = await client.version.commit(input, { body });
    return {
      datasetId: input.datasetId,
      versionId: version.versionId,
      message: input.message,
      rows: version.rows,
      mode: input.mode,
      sha256: sha256(body),
    };
  };
}

/** Commits over REST; undefined when the connection broke before the answer, so that nobody knows what became of it. */
export function restSender(url: string, token: string): Sender {
  return async ({ datasetId, branch, mode, message, body }) => {
    const query = new URLSearchParams({ mode, message });
    const answer = await post(`${url}/api/datasets/${datasetId}/branches/${branch}/commit?${query}`, token, body);
    if (answer === undefined) return undefined;
    if (answer.status !== 201) throw new CovistaError(answer.body.error.code, answer.body.error.message);
    return { datasetId, versionId: answer.body.versionId, message, rows: answer.body.rows, mode, sha256: sha256(body) };
  };
}

interface CommitAnswer extends Pick<RestAnswer, 'status'> {
  readonly body: { readonly error: CovistaError; readonly versionId: number; readonly rows: number };
}

async function post(address: string, token: string, body: Uint8Array): Promise<CommitAnswer | undefined> {
  try {
    const response = await fetch(address, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: body as BodyInit });
    return { status: response.status, body: (await response.json()) as CommitAnswer['body'] };
  } catch {
    // The server is away; the pause keeps the load from spinning meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 20));
    return undefined;
  }
}
