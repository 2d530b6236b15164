#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import { runCommand, type StartServer } from './cli/commands.ts';
import { threadPoolSize } from './cli/thread-pool.ts';

// Loaded where a server is wanted: a token is made before all of it were read.
const startServer: StartServer = async (config) => (await import('./wiring/server.ts')).startServer(config);

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  const args = process.argv.slice(2);
  // libuv makes its threads when they are first used, which loading a command does.
  process.env.UV_THREADPOOL_SIZE ??= String(threadPoolSize(args, process.env));
  process.exitCode = await runCommand(args, process.env, { startServer });
}
