import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { mintToken } from '../server/gateway/mint.ts';
import { cpuSecondsOf } from './support/document-servers.ts';
import { meetRestart } from './support/restart-crowd.ts';

/** `node bench/restart.ts --clients 5000`: how soon clients with documents are back after a restart of the server. */

const SECRET = 'restart-secret-of-sufficient-length-0123456789';
const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '5000' },
    documents: { type: 'string', default: '50' },
    'sdk-every': { type: 'string', default: '50' },
  },
});
const clients = Number(values.clients);
const dataDir = await mkdtemp(join(tmpdir(), 'covista-restart-'));
await chmod(dataDir, 0o755);
const port = await freePort();

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('there is no free port');
  return address.port;
}

async function start() {
  const main = join(import.meta.dirname, '../server/main.ts');
  const args = [main, 'serve', '--port', String(port), '--data-dir', dataDir, '--log-level', 'warn', '--no-log-pretty'];
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, COVISTA_JWT_SECRET: SECRET },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // The first line comes when the server serves.
  await once(createInterface(child.stdout), 'line');
  return child;
}

/** What this process used, which is all clients. */
const clientSeconds = (): number => process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6;
const serverSeconds = (): number => cpuSecondsOf(child.pid as number);

let child = await start();
let before = { ofServer: 0, ofClients: 0 };
try {
  const { backMs, commands, firstBytes, againBytes } = await meetRestart({
    url: `http://127.0.0.1:${port}`,
    token: (subject) => mintToken(SECRET, { subject, claims: { groups: ['crowd'] } }),
    clients,
    sdkEvery: Number(values['sdk-every']),
    perDocument: Math.ceil(clients / Number(values.documents)),
    notes: 100,
    restart: async () => {
      const askedAtMs = performance.now();
      child.kill('SIGTERM');
      await once(child, 'exit');
      say(`the server stopped within ${Math.round(performance.now() - askedAtMs)} ms`);
      child = await start();
      const readyAtMs = performance.now();
      before = { ofServer: serverSeconds(), ofClients: clientSeconds() };
      say(`it was away for ${Math.round(readyAtMs - askedAtMs)} ms`);
      return readyAtMs;
    },
    giveUpMs: 60_000,
  });
  const within = backMs.filter((ms) => ms <= 5_000).length;
  const at = (share: number): number => Math.round(backMs[Math.min(backMs.length - 1, Math.floor(backMs.length * share))] ?? 0);
  say(`clients                     ${backMs.length}`);
  say(`back within 5 s             ${((100 * within) / backMs.length).toFixed(2)} %`);
  say(`back at p50, p99, p99.9     ${at(0.5)} ms, ${at(0.99)} ms, ${at(0.999)} ms`);
  say(`received at first, again    ${Math.round(firstBytes / clients)}, ${Math.round(againBytes / clients)} bytes a client`);
  say(`commands acknowledged       ${commands.acknowledged} of ${commands.sent}, failed ${commands.failed.length}, lost ${commands.lost}`);
  // The least time that it could take with a processor for each side, however busy the machine is.
  const [ofServer, ofClients] = [serverSeconds() - before.ofServer, clientSeconds() - before.ofClients];
  say(`processor time              ${ofServer.toFixed(1)} s of the server, ${ofClients.toFixed(1)} s of all clients together`);
  for (const fault of new Set(commands.failed)) say(`  ${fault}`);
} finally {
  child.kill('SIGTERM');
  if (child.exitCode === null) await once(child, 'exit');
  await rm(dataDir, { recursive: true, force: true });
}
