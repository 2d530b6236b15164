import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Client, connect } from '../../client/index.ts';
import { CovistaError } from '../../protocol/errors.ts';
import { COMMIT_MODES } from '../../protocol/operations/version.ts';
import { CONNECT_ATTEMPTS_MAX, type Command, type FlagValues, type Invocation, listFlag, textFlag, UsageError } from './command.ts';
import { showProgress } from './progress.ts';
import { serverUrl } from './server-url.ts';
import type { Terminal } from './terminal.ts';

const READ_BYTES = 1024 * 1024;
type Committed = Awaited<ReturnType<Client['upload']['file']>>;

export const importFiles: Command = {
  summary: 'Upload files and commit each as a version',
  operands: 'FILE…',
  flags: {
    dataset: { type: 'string', value: 'NAME|ID', prose: 'Where the files go; a name that is not there yet is created. Absent: named after the file' },
    branch: { type: 'string', value: 'NAME', prose: 'Branch to commit to [main]' },
    message: { type: 'string', value: 'TEXT', prose: 'Commit message; absent: names the file' },
    mode: { type: 'string', value: COMMIT_MODES.join('|'), prose: 'Replace the rows, append them, or upsert or delete them by key [replace]' },
    key: { type: 'string', multiple: true, value: 'COLUMN', prose: 'Key column of upsert and delete; absent: those of the dataset' },
    strict: { type: 'boolean', prose: 'Refuse a file of which any row cannot be read' },
    url: { type: 'string', value: 'URL', prose: 'Server; absent: COVISTA_URL, or the host and port of the settings' },
    token: { type: 'string', value: 'TOKEN', prose: 'Token; absent: COVISTA_TOKEN' },
  },
  run: async (invocation) => {
    if (invocation.operands.length === 0) throw new UsageError('which files?');
    const plan = readPlan(invocation.flags);
    const client = openClient(invocation);
    const signal = invocation.terminal.interruption();
    try {
      return await importAll(invocation.operands, { client, plan, signal, terminal: invocation.terminal });
    } finally {
      client.close();
    }
  },
};

interface Plan {
  readonly dataset: string | undefined;
  readonly branch: string;
  readonly message: string | undefined;
  readonly mode: (typeof COMMIT_MODES)[number];
  readonly key: string[];
  readonly strict: boolean;
}

function readPlan(flags: FlagValues): Plan {
  const modeText = textFlag(flags, 'mode') ?? 'replace';
  const mode = COMMIT_MODES.find((candidate) => candidate === modeText);
  if (mode === undefined) throw new UsageError(`--mode is one of ${COMMIT_MODES.join(', ')}, not "${modeText}"`);
  return {
    dataset: textFlag(flags, 'dataset'),
    branch: textFlag(flags, 'branch') ?? 'main',
    message: textFlag(flags, 'message'),
    mode,
    key: listFlag(flags, 'key'),
    strict: flags.strict === true,
  };
}

function openClient(invocation: Invocation): Client {
  const { flags, client } = invocation;
  const token = textFlag(flags, 'token') ?? client.token;
  if (token === undefined) throw new UsageError('import needs --token or COVISTA_TOKEN; "covista token --sub NAME" prints one');
  return connect({ url: serverUrl(invocation), token, name: 'covista-import', settings: { attemptsMax: CONNECT_ATTEMPTS_MAX } });
}

interface FileImport {
  readonly client: Client;
  readonly path: string;
  readonly plan: Plan;
  readonly signal: AbortSignal;
  readonly terminal: Terminal;
}

/** One after the other, as each may build on the one before: the first that fails ends it. */
async function importAll(paths: readonly string[], all: Omit<FileImport, 'path'>): Promise<number> {
  let status = 0;
  for (const [index, path] of paths.entries()) {
    try {
      status = Math.max(status, await importFile({ ...all, path }));
    } catch (fault) {
      const left = paths.length - index - 1;
      if (left > 0) all.terminal.say(`covista: the import ends with ${basename(path)}; files behind it that were left out: ${left}\n`);
      throw fault instanceof CovistaError ? new CovistaError(fault.code, `${basename(path)}: ${fault.message}`, fault.details, fault) : fault;
    }
  }
  return status;
}

async function importFile(importing: FileImport): Promise<number> {
  const { client, path, plan, terminal } = importing;
  const { size } = await fileOf(path);
  const fileName = basename(path);
  const dataset = plan.dataset === undefined ? await findByName(client, datasetNameOf(fileName)) : await findDataset(client, plan.dataset);
  try {
    return announce(terminal, fileName, dataset, await upload(importing, { fileName, size, datasetId: dataset.datasetId }));
  } catch (fault) {
    if (dataset.created) await removeEmpty(client, dataset.datasetId);
    throw fault;
  }
}

/** A dataset that was made for a file, and which that file did not get into. */
async function removeEmpty(client: Client, datasetId: number): Promise<void> {
  try {
    const { items } = await client.branch.list({ datasetId });
    if (items.length === 0) await client.dataset.delete({ datasetId });
  } catch (fault) {
    // Why the file failed is what is to be told.
    if (!(fault instanceof CovistaError)) throw fault;
  }
}

async function upload(
  { client, path, plan, signal, terminal }: FileImport,
  { fileName, size, datasetId }: { readonly fileName: string; readonly size: number; readonly datasetId: number },
): Promise<Committed> {
  const progress = showProgress(terminal, fileName);
  const file = await open(path);
  try {
    return await client.upload.file(file.createReadStream({ highWaterMark: READ_BYTES }), {
      datasetId,
      branch: plan.branch,
      message: plan.message ?? `Import ${fileName}`,
      mode: plan.mode,
      ...(plan.key.length === 0 ? {} : { key: plan.key }),
      strict: plan.strict,
      fileName,
      bytes: size,
      signal,
      onProgress: progress.report,
      createHash: () => createHash('sha256'),
    });
  } finally {
    progress.end();
    await file.close();
  }
}

/** Says what was made; a file of which nothing could be read counts as a failure although its original is kept. */
function announce(terminal: Terminal, fileName: string, dataset: FoundDataset, version: Committed): number {
  const { versionId, branch, rows, conversion } = version;
  const where = `${dataset.created ? 'new ' : ''}dataset ${dataset.datasetId} "${dataset.name}"`;
  terminal.print(`${where}: version ${versionId} on ${branch}, ${rows} rows of ${fileName}\n`);
  if (conversion.status === 'complete') return 0;
  const [first] = conversion.errors;
  const line = first === undefined || first.line === null ? '' : ` in line ${first.line}`;
  const reason = first === undefined ? '' : `; the first${line}: ${first.reason}`;
  terminal.say(`covista: ${fileName}: ${conversion.errorCount} rows could not be read${reason}\n`);
  return conversion.status === 'failed' ? 1 : 0;
}

async function fileOf(path: string): Promise<{ readonly size: number }> {
  const status = await stat(path);
  if (!status.isFile()) throw new UsageError(`${path} is not a file`);
  return status;
}

/** The name of a file without its endings. */
export function datasetNameOf(fileName: string): string {
  return fileName.replace(/(\.(csv|tsv|txt|json|ndjson|jsonl|parquet|arrow|arrows|feather|ipc|gz|zst))+$/i, '') || fileName;
}

interface FoundDataset {
  readonly datasetId: number;
  readonly name: string;
  readonly created: boolean;
}

/** A dataset by number, or by its exact name. */
async function findDataset(client: Client, reference: string): Promise<FoundDataset> {
  if (/^\d+$/.test(reference)) {
    const { datasetId, name } = await client.dataset.get({ datasetId: Number(reference) });
    return { datasetId, name, created: false };
  }
  return findByName(client, reference);
}

/** A name that nobody has is created. What a file is called is never a number. */
async function findByName(client: Client, wanted: string): Promise<FoundDataset> {
  const found: FoundDataset[] = [];
  for await (const { datasetId, name } of client.items(client.dataset.list, { search: wanted })) {
    if (name === wanted) found.push({ datasetId, name, created: false });
  }
  const [only, another] = found;
  if (another !== undefined) {
    throw new UsageError(
      `${found.length} datasets are named "${wanted}": say which by number, ${found.map(({ datasetId }) => datasetId).join(' or ')}`,
    );
  }
  if (only !== undefined) return only;
  const { datasetId, name } = await client.dataset.create({ name: wanted });
  return { datasetId, name, created: true };
}
