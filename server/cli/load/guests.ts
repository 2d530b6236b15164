import { type Client, connect } from '../../../client/index.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import type { CleanUp } from './clean-up.ts';
import { LOAD_GROUP, type Login, refusedLogin } from './people.ts';

export interface Guest {
  readonly principal: string;
  /** What the dataset is to them now. */
  readonly has: string;
}

/** Connections that are opened at once. */
const AT_ONCE = 20;
/** How many of those who lack something are named. */
const NAMED_MAX = 10;
/** What a token is answered that may not give what is lacking. */
const MAY_NOT: ReadonlySet<string> = new Set(['forbidden', 'not_found', 'conflict']);

interface GuestsPlace {
  readonly url: string;
  readonly datasetId: number;
}

/** Of these, the people who may not yet do on the dataset what the people of a run do. */
export async function guestsOf(logins: readonly Login[], place: GuestsPlace): Promise<Guest[]> {
  const distinct = [...new Map(logins.map((login) => [login.token, login])).values()];
  const found = new Map<string, Guest>();
  for (let from = 0; from < distinct.length; from += AT_ONCE) {
    const some = await Promise.all(distinct.slice(from, from + AT_ONCE).map((login) => guestOf(login, place)));
    for (const guest of some) if (guest !== undefined) found.set(guest.principal, guest);
  }
  return [...found.values()];
}

async function guestOf(login: Login, { url, datasetId }: GuestsPlace): Promise<Guest | undefined> {
  const client = connect({ url, token: login.token, name: 'covista-load' });
  try {
    const { subject } = await client.session.whoami();
    const permission = await permissionOf(client, datasetId);
    return permission === 'write' || permission === 'admin' ? undefined : { principal: `user:${subject}`, has: permission ?? 'no permission' };
  } catch (fault) {
    throw refusedLogin(login, fault);
  } finally {
    client.close();
  }
}

/** Whoever may not even know of the dataset has none on it. */
async function permissionOf(client: Client, datasetId: number): Promise<string | null> {
  try {
    return (await client.access.get({ datasetId })).permission;
  } catch (fault) {
    if (!(fault instanceof CovistaError && fault.code === 'not_found')) throw fault;
    return null;
  }
}

/** Those whose tokens the harness makes are a group, and each of them has what one has. */
export async function guestsOfGroup(login: Login, place: GuestsPlace): Promise<Guest[]> {
  return (await guestsOf([login], place)).map(({ has }) => ({ principal: `group:${LOAD_GROUP}`, has }));
}

interface AdmissionOptions {
  readonly owner: Client;
  readonly datasetId: number;
  /** How long the run takes at most. */
  readonly runMs: number;
}

/** Grants end by themselves a while after the run, for a run that is killed takes nothing back. */
const GRACE_MS = 10 * 60_000;

/** Lets guests write to a dataset for the time of a run, where the token of the run may. */
export class Admission {
  readonly #owner: Client;
  readonly #datasetId: number;
  readonly #validUntil: string;
  readonly #grantIds: number[] = [];

  constructor({ owner, datasetId, runMs }: AdmissionOptions) {
    this.#owner = owner;
    this.#datasetId = datasetId;
    this.#validUntil = new Date(Date.now() + runMs + GRACE_MS).toISOString();
  }

  /** Answers with what is lacking, to be told; undefined: nothing is. */
  async admit(guests: readonly Guest[]): Promise<string | undefined> {
    const lacking: string[] = [];
    let reason = '';
    const [datasetId, validUntil] = [this.#datasetId, this.#validUntil];
    for (const { principal, has } of guests) {
      try {
        const { grantId } = await this.#owner.grant.create({ datasetId, principal, permission: 'write', validUntil });
        this.#grantIds.push(grantId);
      } catch (fault) {
        if (!(fault instanceof CovistaError && MAY_NOT.has(fault.code))) throw fault;
        reason = fault.message;
        lacking.push(`${principal} (${has})`);
      }
    }
    if (lacking.length === 0) return undefined;
    const others = lacking.length > NAMED_MAX ? ` and ${lacking.length - NAMED_MAX} others` : '';
    return `write on dataset ${this.#datasetId} is lacking to ${lacking.slice(0, NAMED_MAX).join(', ')}${others}; the token of the run may not give it: ${reason}`;
  }

  /** Takes back what it gave; answers with what is left, to be told; undefined: nothing is. */
  async end(cleanUp: CleanUp): Promise<string | undefined> {
    const left: number[] = [];
    let reason = '';
    for (const grantId of this.#grantIds) {
      const failure = await cleanUp.attempt((options) => this.#owner.grant.revoke({ datasetId: this.#datasetId, grantId }, options));
      if (failure === undefined) continue;
      reason = failure;
      left.push(grantId);
    }
    if (left.length === 0) return undefined;
    return `grants ${left.join(', ')} on dataset ${this.#datasetId} could not be taken back (${reason}); they end at ${this.#validUntil}`;
  }
}
