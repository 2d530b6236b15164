import type { Client, ConnectionState } from '../../index.ts';
import type { Readable, Signal } from '../ui/signal.ts';
import type { Route } from './route.ts';
import type { Theme } from './theme.ts';

/** What every part of the page works with while somebody is signed in. */
export interface App {
  readonly client: Client;
  readonly subject: string;
  readonly route: Readable<Route>;
  readonly connection: Readable<ConnectionState>;
  readonly theme: Signal<Theme>;
  readonly signOut: () => void;
}

export type Dataset = Awaited<ReturnType<Client['dataset']['get']>>;
export type Version = Awaited<ReturnType<Client['version']['get']>>;
export type Branch = Awaited<ReturnType<Client['branch']['get']>>;
export type Tag = Awaited<ReturnType<Client['tag']['get']>>;
export type Access = Awaited<ReturnType<Client['access']['get']>>;
export type Grant = Awaited<ReturnType<Client['grant']['list']>>['items'][number];
export type Schedule = Awaited<ReturnType<Client['schedule']['get']>>;
export type ScheduleRun = Awaited<ReturnType<Client['schedule']['run']>>;
export type Committed = Awaited<ReturnType<Client['upload']['commit']>>;

/** All items of a query that answers in pages, at most so many. */
export async function collect<Item>(items: AsyncIterable<Item>, most: number): Promise<Item[]> {
  const collected: Item[] = [];
  for await (const item of items) {
    collected.push(item);
    if (collected.length >= most) break;
  }
  return collected;
}
