import type { Command } from './command.ts';
import { aborted } from './terminal.ts';

export const serve: Command = {
  summary: 'Run the server until it is told to end; prints its URL when it is ready',
  flags: {},
  run: async ({ config, programs, terminal }) => {
    const interruption = terminal.interruption();
    const server = await programs.startServer(config);
    terminal.print(`${server.url}\n`);
    await aborted(interruption);
    await server.stop();
    return 0;
  },
};
