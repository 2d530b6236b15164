import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { EventNotice, EventRecord, EventStore } from '../../storage/stores.ts';

export interface EventFeed {
  /** Events of a dataset behind `after`; ends with the signal. `recheck` runs when grants changed, and its error ends the feed. */
  follow(
    datasetId: DatasetId,
    options: { readonly after: number; readonly signal: AbortSignal; readonly recheck: () => Promise<void> },
  ): AsyncIterable<EventRecord>;
  notice(notice: EventNotice): void;
}

interface Follower {
  /** Something may have happened since it last looked. */
  awake: boolean;
  grantsChanged: boolean;
  wake: () => void;
}

interface Topic {
  readonly followers: Set<Follower>;
  /** The newest events, so that many followers cost one query. */
  readonly recent: EventRecord[];
  reading: Promise<void> | undefined;
}

const READ_BATCH = 200;

/**
 * Followers pull: each has its position in the sequence and reads on when it is woken, so a slow one costs no memory. The
 * newest events of a dataset are read once and shared.
 */
export function createEventFeed({ events, limits }: { readonly events: EventStore; readonly limits: Limits }): EventFeed {
  const topics = new Map<DatasetId, Topic>();

  const wakeAll = (topic: Topic, grantsChanged: boolean): void => {
    for (const follower of topic.followers) {
      follower.awake = true;
      follower.grantsChanged ||= grantsChanged;
      follower.wake();
    }
  };

  const join = (datasetId: DatasetId, follower: Follower): Topic => {
    const topic = topics.get(datasetId) ?? { followers: new Set(), recent: [], reading: undefined };
    const { watchersPerDatasetMax } = limits;
    if (topic.followers.size >= watchersPerDatasetMax) {
      throw new CovistaError('rate_limited', `dataset ${datasetId} already has ${topic.followers.size} watchers`, {
        watchersPerDatasetMax,
        retryAfterMs: 10_000,
      });
    }
    topic.followers.add(follower);
    topics.set(datasetId, topic);
    return topic;
  };

  const leave = (datasetId: DatasetId, topic: Topic, follower: Follower): void => {
    topic.followers.delete(follower);
    if (topic.followers.size === 0) topics.delete(datasetId);
  };

  /** Events behind a position: out of the shared ones when they reach back that far, out of the database otherwise. */
  const read = async (datasetId: DatasetId, topic: Topic, after: number): Promise<readonly EventRecord[]> => {
    topic.reading ??= readOn(datasetId, topic).finally(() => {
      topic.reading = undefined;
    });
    await topic.reading;
    const first = topic.recent[0];
    if (first !== undefined && first.sequence <= after + 1) return topic.recent.slice(after + 1 - first.sequence);
    return events.after(datasetId, after, READ_BATCH);
  };

  const readOn = async (datasetId: DatasetId, topic: Topic): Promise<void> => {
    const newest = topic.recent.at(-1)?.sequence ?? Math.max(0, (await events.latest(datasetId)) - READ_BATCH);
    for (let last = newest, isMore = true; isMore; ) {
      const batch = await events.after(datasetId, last, READ_BATCH);
      topic.recent.push(...batch);
      topic.recent.splice(0, Math.max(0, topic.recent.length - limits.eventsQueuedMax));
      last = batch.at(-1)?.sequence ?? last;
      // A follower may already be further than what is shared: only all of it shows that there is nothing new.
      isMore = batch.length === READ_BATCH;
    }
  };

  return {
    follow: (datasetId, options) => followTopic({ datasetId, join, leave, read, events }, options),
    notice: (notice) => {
      if (notice.kind === 'gap') for (const topic of topics.values()) wakeAll(topic, true);
      else if (notice.kind === 'events') {
        const topic = topics.get(notice.datasetId);
        if (topic !== undefined) wakeAll(topic, notice.grantsChanged);
      }
    },
  };
}

interface Following {
  readonly datasetId: DatasetId;
  readonly events: EventStore;
  join(datasetId: DatasetId, follower: Follower): Topic;
  leave(datasetId: DatasetId, topic: Topic, follower: Follower): void;
  read(datasetId: DatasetId, topic: Topic, after: number): Promise<readonly EventRecord[]>;
}

async function* followTopic(feed: Following, options: Parameters<EventFeed['follow']>[1]): AsyncIterable<EventRecord> {
  const { datasetId } = feed;
  const { signal } = options;
  const follower: Follower = { awake: true, grantsChanged: false, wake: () => undefined };
  const topic = feed.join(datasetId, follower);
  const onAbort = (): void => follower.wake();
  signal.addEventListener('abort', onAbort);
  try {
    let position = await checkedPosition(feed, options.after);
    while (!signal.aborted) {
      follower.awake = false;
      if (follower.grantsChanged) {
        follower.grantsChanged = false;
        await options.recheck();
      }
      const batch = await feed.read(datasetId, topic, position);
      for (const event of batch) {
        yield event;
        position = event.sequence;
      }
      if (batch.length === 0) await sleep(follower, signal);
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    feed.leave(datasetId, topic, follower);
  }
}

/** A position that events have been pruned behind cannot be resumed without a gap. */
async function checkedPosition(feed: Following, after: number): Promise<number> {
  // In this order: an event that comes in between must not look like one that others were pruned behind.
  const latest = await feed.events.latest(feed.datasetId);
  const earliest = await feed.events.earliest(feed.datasetId);
  if (after > latest || (earliest > 0 && after < earliest - 1) || (earliest === 0 && after < latest)) {
    throw new CovistaError(
      'conflict',
      `the events behind ${after} are not kept; the oldest is ${earliest}, the newest ${latest}: read the state anew and watch from there`,
      { earliest, latest },
    );
  }
  return after;
}

async function sleep(follower: Follower, signal: AbortSignal): Promise<void> {
  if (follower.awake || signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  follower.wake = resolve;
  await promise;
  follower.wake = () => undefined;
}
