import { defaultLimits } from '../../protocol/limits.ts';
import { ConfigError, type Environment, readConfig, separateFlags } from '../config.ts';
import { readAddress } from './command.ts';

/**
 * How many threads of libuv a command is to have. It is asked before the command is loaded, since loading it makes the threads; what is
 * wrong with the settings is told by the command.
 */
export function threadPoolSize(args: readonly string[], environment: Environment): number {
  try {
    return readConfig(separateFlags(args).settings, readAddress(environment).server).limits.threadPoolSize;
  } catch (fault) {
    if (fault instanceof ConfigError) return defaultLimits.threadPoolSize;
    throw fault;
  }
}
