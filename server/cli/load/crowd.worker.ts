import { parentPort, workerData } from 'node:worker_threads';
import { present } from '../../shared/assert.ts';
import type { CrowdShare, FromCrowd, ToCrowd } from './crowd.protocol.ts';
import { Crowd } from './crowd.ts';
import { type Recorded, Recorder } from './recorder.ts';
import { SCENARIOS } from './scenarios.ts';

const TELL_EVERY_MS = 1_000;

const port = present(parentPort, 'the port of the thread that started this one');
const { plan, scenario } = workerData as CrowdShare;
const tell = (message: FromCrowd): void => port.postMessage(message);
const end = new AbortController();

const recorder = new Recorder();
let arrival: Recorded | undefined;
const measured = Promise.withResolvers<void>();

async function live(): Promise<void> {
  const crowd = new Crowd(plan, {
    scenario: present(SCENARIOS[scenario], `the scenario ${scenario}`),
    recorder,
    signal: end.signal,
    onSettled: () => tell({ kind: 'settled' }),
  });
  const report = (): void => tell({ kind: 'told', arrived: crowd.arrived, recorded: recorder.recorded(), arrival });
  const timer = setInterval(report, TELL_EVERY_MS);
  recorder.restart();
  await crowd.run();
  // Who left before the last came was not measured yet.
  await measured.promise;
  clearInterval(timer);
  report();
  tell({ kind: 'over' });
}

port.on('message', (message: ToCrowd) => {
  if (message === 'begin') void live();
  else if (message === 'measure') {
    arrival = recorder.recorded();
    recorder.restart();
  } else end.abort();
  if (message !== 'begin') measured.resolve();
});
tell({ kind: 'ready' });
