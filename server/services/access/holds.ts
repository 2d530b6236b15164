import type { PermissionLevel } from '../../../protocol/define.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId } from '../../../protocol/ids.ts';
import type { Clock } from '../../shared/clock.ts';
import { isUnrestricted } from '../../storage/content-store.ts';
import type { Access } from './access.ts';
import type { Actor } from './actor.ts';
import type { Authorizer } from './authorizer.ts';

export interface HoldRequest {
  readonly actor: Actor;
  readonly level: PermissionLevel;
  /** What the work began with. */
  readonly access: Access;
  /** Whether the work goes by the scope as it is from time to time, and is to end only when nothing may be seen. */
  readonly followsScope: boolean;
  /** Whether it goes on showing what it began with, so that it ends also where the same grants show other rows, as on another day or by other claims. */
  readonly keepsScope?: boolean;
  /** Whether what may be seen and done now is what the work goes by, which is to begin anew otherwise; absent: more than then is no matter. */
  readonly isAsBefore?: (now: Access) => boolean;
  onLost(reason: CovistaError): void;
}

interface Hold extends HoldRequest {
  timer: NodeJS.Timeout | undefined;
  isReleased: boolean;
}

/** The longest time that a timer can wait for. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Work that is under way on datasets. When the grants of a dataset change, and at the moments when one begins or ends, it is
 * looked at again what whoever does the work may do. As many as there are requests in flight, which connections bound.
 */
export class Holds {
  readonly #byDataset = new Map<DatasetId, Set<Hold>>();
  readonly #options: Pick<Authorizer, 'authorize' | 'standing'> & { readonly clock: Clock };

  constructor(options: Pick<Authorizer, 'authorize' | 'standing'> & { readonly clock: Clock }) {
    this.#options = options;
  }

  add(request: HoldRequest): () => void {
    const { datasetId } = request.access;
    const hold: Hold = { ...request, onLost: request.onLost, timer: undefined, isReleased: false };
    const holds = this.#byDataset.get(datasetId) ?? new Set();
    holds.add(hold);
    this.#byDataset.set(datasetId, holds);
    // Something may have changed between the permission and now.
    void this.#check(hold);
    return () => this.#release(hold);
  }

  recheck(datasetId: DatasetId): void {
    for (const hold of this.#byDataset.get(datasetId) ?? []) void this.#check(hold);
  }

  recheckAll(): void {
    for (const datasetId of this.#byDataset.keys()) this.recheck(datasetId);
  }

  #release(hold: Hold): void {
    hold.isReleased = true;
    clearTimeout(hold.timer);
    const { datasetId } = hold.access;
    const holds = this.#byDataset.get(datasetId);
    holds?.delete(hold);
    if (holds?.size === 0) this.#byDataset.delete(datasetId);
  }

  async #check(hold: Hold): Promise<void> {
    const reason = await this.#reasonToEnd(hold);
    if (hold.isReleased) return;
    if (reason === undefined) return;
    this.#release(hold);
    hold.onLost(reason);
  }

  /** Where it cannot be found out what is allowed, nothing is. */
  async #reasonToEnd(hold: Hold): Promise<CovistaError | undefined> {
    const { actor, level, access, followsScope, keepsScope = false, isAsBefore } = hold;
    try {
      // In this order: what time changes between the two, the second one sees, and what it changes later, the timer does.
      await this.#wait(hold);
      const now = await this.#options.authorize(actor, level, access.datasetId);
      if (isAsBefore?.(now) === false) {
        return new CovistaError('unavailable', `what you may see or do of dataset ${access.datasetId} has changed; open it again`, {
          datasetId: access.datasetId,
        });
      }
      if (followsScope || (showsAsMuch(now, access) && (!keepsScope || showsSame(now, access)))) return undefined;
      return new CovistaError('forbidden', `what you may see of dataset ${access.datasetId} has changed; start again`, {
        datasetId: access.datasetId,
      });
    } catch (fault) {
      if (fault instanceof CovistaError) return fault;
      return new CovistaError('unavailable', 'it cannot be found out whether you may still do this', {}, fault);
    }
  }

  /** Looks again when time alone changes something. */
  async #wait(hold: Hold): Promise<void> {
    const standing = await this.#options.standing(hold.actor, hold.access.datasetId);
    const waitMs = (standing?.changesAtMs ?? Number.POSITIVE_INFINITY) - this.#options.clock.now();
    clearTimeout(hold.timer);
    if (hold.isReleased || waitMs === Number.POSITIVE_INFINITY) return;
    hold.timer = setTimeout(() => void this.#check(hold), Math.min(waitMs, TIMER_MS_MAX));
    hold.timer.unref();
  }
}

/** Everything that the access showed then, it shows now: the grants that it rested on still count. */
function showsAsMuch(now: Access, then: Access): boolean {
  return isUnrestricted(now.scope) || then.grantIds.every((grantId) => now.grantIds.includes(grantId));
}

/** Every part of the scope then is one of the scope now. */
function showsSame(now: Access, then: Access): boolean {
  if (isUnrestricted(now.scope)) return true;
  const parts = new Set(now.scope.parts.map((part) => JSON.stringify(part)));
  return then.scope.parts.every((part) => parts.has(JSON.stringify(part)));
}
