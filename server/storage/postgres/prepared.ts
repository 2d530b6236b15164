import { createHash } from 'node:crypto';
import type { DriverClient, DriverFactory } from 'slonik';

/** More texts than the stores have; a text beyond is not prepared, so that neither side keeps ever more of them. */
const STATEMENTS_MAX = 500;

const names = new Map<string, string>();

function nameOf(text: string): string | undefined {
  const known = names.get(text);
  if (known !== undefined || names.size >= STATEMENTS_MAX) return known;
  const name = `covista_${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
  names.set(text, name);
  return name;
}

/**
 * Lets PostgreSQL keep the plan of every statement with parameters for as long as the connection lasts: parsing and planning
 * take it several times as long as running them. Slonik has no word for this, but hands the text on to `pg` as it is, which
 * takes a named statement in its place.
 */
export function preparing(factory: DriverFactory): DriverFactory {
  return async (options) => {
    const driver = await factory(options);
    return { createClient: async () => withNames(await driver.createClient()) };
  };
}

function withNames(client: DriverClient): DriverClient {
  return {
    ...client,
    query: (text, values) => {
      const name = values && values.length > 0 ? nameOf(text) : undefined;
      return client.query(name === undefined ? text : ({ name, text } as unknown as string), values);
    },
  };
}

/**
 * A kept plan must suit tables of any size, and one that was made while a table was small would go on scanning it: so plans
 * use indexes from the start. Compiling plans costs more than it gains at this size.
 */
export function withSettings(url: string): string {
  const settled = new URL(url);
  const given = settled.searchParams.get('options');
  settled.searchParams.set('options', `${given === null ? '' : `${given} `}-c enable_seqscan=off -c jit=off`);
  return settled.href;
}
