import { join } from 'node:path';
import { type Client, connect } from '../../client/index.ts';
import type { Config } from '../config.ts';
import type { Command, Invocation, RunningServer } from './command.ts';
import type { DemoDataset, DemoStep } from './demo-data.ts';
import { aborted } from './terminal.ts';
import { mint } from './token.ts';

const DATA_DIR = join('data', 'demo');

/** Alice imports the datasets and is their admin; the others are granted this on each. */
const PEOPLE = [
  { name: 'alice', permission: 'admin' },
  { name: 'bob', permission: 'write' },
  { name: 'carol', permission: 'read' },
] as const;

export const demo: Command = {
  summary: 'Run a server with sample datasets, and print tokens for three people who share them',
  flags: {},
  run: async (invocation) => {
    const config = demoConfig(invocation);
    const interruption = invocation.terminal.interruption();
    // Only this command needs the sample data and the library that reads it.
    const { DEMO_DATASETS } = await import('./demo-data.ts');
    const tokens = await Promise.all(PEOPLE.map(async (person) => ({ ...person, token: await mint(config, { subject: person.name }) })));
    const server = await invocation.programs.startServer(config);
    try {
      await importAll({ url: server.url, tokens, datasets: DEMO_DATASETS, invocation, signal: interruption });
      invocation.terminal.print(describe(server, tokens, DEMO_DATASETS.length));
      await aborted(interruption);
    } finally {
      await server.stop();
    }
    return 0;
  },
};

interface Person {
  readonly name: string;
  readonly permission: 'read' | 'write' | 'admin';
  readonly token: string;
}

/** The demo keeps apart from other data unless it is told where to go. */
function demoConfig({ config, given }: Invocation): Config {
  return given('dataDir') ? config : { ...config, dataDir: DATA_DIR };
}

interface Import {
  readonly url: string;
  readonly tokens: readonly Person[];
  readonly datasets: readonly DemoDataset[];
  readonly invocation: Invocation;
  readonly signal: AbortSignal;
}

async function importAll({ url, tokens, datasets, invocation, signal }: Import): Promise<void> {
  const [alice] = tokens;
  if (alice === undefined) return;
  const client = connect({ url, token: alice.token, name: 'covista-demo' });
  try {
    for (const dataset of datasets) {
      if (signal.aborted) return;
      const made = await importOnce(client, dataset);
      invocation.terminal.say(`${made ? 'Imported' : 'Found'} ${dataset.name}\n`);
    }
  } finally {
    client.close();
  }
}

/** Imports a dataset unless it is there; one that an earlier run did not finish is made anew. Answers whether it was imported. */
async function importOnce(client: Client, dataset: DemoDataset): Promise<boolean> {
  for await (const { datasetId, name, createdBy } of client.items(client.dataset.list, { search: dataset.name, label: 'demo' })) {
    if (name !== dataset.name || createdBy !== PEOPLE[0].name) continue;
    if (await isComplete(client, datasetId, dataset)) return false;
    await client.dataset.delete({ datasetId });
  }
  const { name, description, key, labels } = dataset;
  const { datasetId } = await client.dataset.create({ name, description, key, labels });
  for (const { name: person, permission } of PEOPLE.slice(1)) await client.grant.create({ datasetId, principal: `user:${person}`, permission });
  for (const step of dataset.steps) await takeStep(client, datasetId, step);
  return true;
}

/** The last step is a tag, which nobody can remove. */
async function isComplete(client: Client, datasetId: number, { steps }: DemoDataset): Promise<boolean> {
  const last = steps.at(-1);
  for await (const tag of client.items(client.tag.list, { datasetId })) {
    if (last?.kind === 'tag' && tag.name === last.name) return true;
  }
  return false;
}

async function takeStep(client: Client, datasetId: number, step: DemoStep): Promise<void> {
  if (step.kind === 'branch') await client.branch.create({ datasetId, name: step.name, from: step.from });
  else if (step.kind === 'tag') await client.tag.create({ datasetId, name: step.name, ref: step.ref, message: step.message });
  else {
    const { branch, message, mode = 'replace', file } = step;
    await client.upload.file(await file.read(), { datasetId, branch, message, mode, fileName: file.name, strict: true });
  }
}

function describe({ url }: RunningServer, tokens: readonly Person[], datasets: number): string {
  // Behind the hash a token stays in the browser; in front of it, it would be in logs.
  const people = tokens.map(({ name, permission, token }) => `  ${name} (${permission})\n    ${url}/#token=${token}\n    token: ${token}\n`);
  return `Covista runs at ${url} with ${datasets} datasets.\n\n${people.join('\n')}\nTry:\n  curl -H "Authorization: Bearer ${tokens[0]?.token}" ${url}/api/datasets\n`;
}
