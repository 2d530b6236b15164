import type { BenchServer } from './server.ts';

/** The sum of the samples of a server's `/metrics` whose lines match, by their first group, as somebody may read them. */
export async function readMetric({ url, token }: Pick<BenchServer, 'url' | 'token'>, subject: string, line: RegExp): Promise<number> {
  const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${token(subject)}` } });
  if (!answer.ok) throw new Error(`the metrics were answered ${answer.status}`);
  const values = (await answer.text()).split('\n').flatMap((one) => line.exec(one)?.[1] ?? []);
  if (values.length === 0) throw new Error(`the metrics have nothing like ${line}`);
  return values.reduce((sum, value) => sum + Number(value), 0);
}
