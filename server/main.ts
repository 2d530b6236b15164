#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import { runCommand, type StartServer } from './cli/commands.ts';

// Loaded where a server is wanted: a token is made before all of it were read.
const startServer: StartServer = async (config) => (await import('./wiring/server.ts')).startServer(config);

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  process.exitCode = await runCommand(process.argv.slice(2), process.env, { startServer });
}
