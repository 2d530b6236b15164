import { type Logger, pino } from 'pino';

export type { Logger };

/** JSON lines on standard error, or pretty ones on a terminal. Standard output belongs to the command line. */
export function createLog(level: string, pretty: boolean): Logger {
  const options = { level, redact: { paths: ['token', '*.token', 'authorization', '*.authorization'], censor: '[redacted]' } };
  if (!pretty) return pino(options, pino.destination(2));
  return pino({ ...options, transport: { target: 'pino-pretty', options: { destination: 2, translateTime: 'HH:MM:ss.l', ignore: 'pid,hostname' } } });
}
