import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { encodeAwareness } from '../../server/services/documents/messages.ts';
import { Presence } from '../../server/services/documents/presence.ts';
import { type Listener, PresenceRounds } from '../../server/services/documents/presence-rounds.ts';

const LIMITS = {
  awarenessIntervalMs: 50,
  awarenessFramesPerSecond: 10,
  awarenessGreetedMax: 5,
  awarenessRenewalMs: 3_000,
  awarenessQueuedBytesMax: 1_000,
};
const READERS = 5;

let rounds: PresenceRounds;
let participants: Set<Listener>;
/** When each round went out, in milliseconds from the beginning. */
let toldAtMs: number[];
let beganAtMs: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
  vi.advanceTimersByTime(10_000);
  beganAtMs = performance.now();
  toldAtMs = [];
  const first = { queuedBytes: 0, send: () => void toldAtMs.push(performance.now() - beganAtMs) };
  const others = Array.from({ length: READERS - 1 }, () => ({ queuedBytes: 0, send: () => undefined }));
  const limits = { awarenessKeepMs: 30_000, awarenessStateBytesMax: 1_000, awarenessClientsMax: 4, documentUpdateBytesMax: 8_000 };
  const presence = new Presence(limits, { now: () => 0 });
  const entries = [1, 2, 3, 4].map((clientId) => ({ clientId, clock: 1, json: '{}' }));
  presence.receive(encodeAwareness(entries), { subject: 'alice' });
  participants = new Set([first, ...others]);
  rounds = new PresenceRounds({ presence, participants, limits: LIMITS });
});

afterEach(() => {
  rounds.stop();
  vi.useRealTimers();
});

const at = (ms: number, happens: () => void): void => {
  vi.advanceTimersByTime(beganAtMs + ms - performance.now());
  happens();
};

test('DOC20 who moves alone is told of at once after a pause, and then in every interval', () => {
  for (const ms of [0, 10, 20, 1_000, 1_010]) at(ms, () => rounds.change([ms < 1_000 ? 1 : 2]));
  vi.advanceTimersByTime(5_000);
  expect(toldAtMs).toEqual([0, 50, 1_000, 1_050]);
});

test('DOC20 several who move at once, or in turn, are told of as often as keeps all readers within the frames of a second', () => {
  at(0, () => rounds.change([1, 2]));
  for (const ms of [10, 20, 490]) at(ms, () => rounds.change([1, 2]));
  at(600, () => rounds.change([1]));
  vi.advanceTimersByTime(1_400);
  expect(toldAtMs).toEqual([0, 500, 1_000]);
  toldAtMs = [];
  for (const ms of [2_000, 2_025, 2_050, 2_075, 2_100]) at(ms, () => rounds.change([ms % 50 === 0 ? 1 : 2]));
  vi.advanceTimersByTime(5_000);
  expect(toldAtMs).toEqual([2_000, 2_050, 2_550]);
});

test('DOC20 what is only renewed goes with what changes, or at its time', () => {
  at(0, () => rounds.renew([1]));
  at(1_000, () => rounds.renew([2]));
  vi.advanceTimersByTime(2_500);
  expect(toldAtMs).toEqual([3_000]);
  at(4_000, () => rounds.renew([1]));
  at(4_100, () => rounds.change([2]));
  vi.advanceTimersByTime(10_000);
  expect(toldAtMs).toEqual([3_000, 4_100]);
});

test('DOC20 who comes is told of at once to a few, and to many with what changes, or in time', () => {
  at(0, () => rounds.arrive([1]));
  participants.add({ queuedBytes: 0, send: () => undefined });
  at(1_000, () => rounds.arrive([2]));
  at(2_000, () => rounds.arrive([3]));
  // Whoever comes now hears of those two with all others.
  expect(rounds.known([1, 2, 3])).toEqual([1]);
  vi.advanceTimersByTime(3_000);
  expect(rounds.known([1, 2, 3])).toEqual([1, 2, 3]);
  expect(toldAtMs).toEqual([0, 4_000]);
  at(6_000, () => rounds.arrive([4]));
  at(6_100, () => rounds.change([1]));
  vi.advanceTimersByTime(10_000);
  expect(toldAtMs).toEqual([0, 4_000, 6_100]);
});

test('DOC20 what several have moved goes along with an edit, though not more often than at the end of every interval', () => {
  at(0, () => rounds.change([1, 2]));
  at(10, () => rounds.change([1]));
  at(20, () => rounds.ride());
  at(60, () => rounds.ride());
  at(90, () => rounds.change([2]));
  at(100, () => rounds.ride());
  at(120, () => rounds.ride());
  at(200, () => rounds.ride());
  vi.advanceTimersByTime(5_000);
  expect(toldAtMs).toEqual([0, 60, 120]);
});
