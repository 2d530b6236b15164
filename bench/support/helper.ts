import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** A program of the bench in a process of its own, which answers each message with one. What it prints is no answer. */
export interface Helper<Question, Answer> {
  ask(question: Question): Promise<Answer>;
  stop(): Promise<void>;
}

export function startHelper<Question, Answer>(program: string): Helper<Question, Answer> {
  const child = fork(join(import.meta.dirname, '../loads', program), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], serialization: 'advanced' });
  const ended = once(child, 'exit');
  return {
    ask: async (question) => {
      child.send(question as never);
      const answer = await Promise.race([once(child, 'message'), ended.then(() => undefined)]);
      if (answer === undefined) throw new Error(`${program} ended`);
      return answer[0] as Answer;
    },
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** In such a program: answers questions, one after the other, for as long as somebody is there who asks. */
export function answer<Question, Answer>(work: (question: Question) => Promise<Answer>): void {
  let before: Promise<void> = Promise.resolve();
  process.on('message', (question: Question) => {
    before = before.then(async () => void process.send?.((await work(question)) ?? 'done'));
  });
  process.once('disconnect', () => process.exit(1));
}
