import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { isMet, type Measurement, type Scenario } from './measurement.ts';
import { scenarios } from './scenarios/index.ts';

/** `npm run bench [-- --quick] [SCENARIO…]`: runs scenarios one after the other and writes what they measured to `results/`. */
async function main(args: readonly string[]): Promise<void> {
  const quick = args.includes('--quick');
  const names = args.filter((arg) => !arg.startsWith('--'));
  const unknown = names.filter((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown.length > 0) throw new Error(`there is no scenario ${unknown.join(', ')}; there are ${scenarios.map(({ name }) => name).join(', ')}`);
  const chosen = scenarios.filter(({ name }) => names.length === 0 || names.includes(name));
  const measurements: Measurement[] = [];
  for (const scenario of chosen) measurements.push(...(await runScenario(scenario, quick)));
  report(measurements, { quick, scenarios: chosen.map(({ name }) => name) });
}

async function runScenario({ name, about, run }: Scenario, quick: boolean): Promise<Measurement[]> {
  say(`\n${name}: ${about}`);
  const measurements = await run({ quick, say: (text) => say(`  ${text}`) });
  for (const measurement of measurements) say(`  ${describe(measurement)}`);
  return measurements;
}

function describe(measurement: Measurement): string {
  const { area, name, value, unit, spread, limit, bound } = measurement;
  const met = isMet(measurement);
  const verdict = met === undefined ? '' : ` — ${met ? 'met' : 'MISSED'}: ${bound ?? 'at most'} ${limit}`;
  const range = spread === undefined ? '' : ` (${round(spread[0])} to ${round(spread[1])})`;
  return `${area} / ${name}: ${round(value)} ${unit}${range}${verdict}`;
}

const round = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

function report(measurements: readonly Measurement[], run: { readonly quick: boolean; readonly scenarios: readonly string[] }): void {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const at = new Date().toISOString();
  const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, memoryGiB: Math.round(totalmem() / 2 ** 30), node: process.version };
  const targets = measurements.flatMap((measurement) => {
    const { area, name, value, limit, unit } = measurement;
    return limit === undefined ? [] : [{ area, name, value, limit, unit, met: isMet(measurement) === true }];
  });
  const results = join(import.meta.dirname, 'results');
  mkdirSync(results, { recursive: true });
  writeFileSync(
    join(results, `${at.slice(0, 10)}-${commit}.json`),
    `${JSON.stringify({ at, commit, machine, ...run, targets, measurements }, null, 2)}\n`,
  );
  const figures = Object.fromEntries(measurements.map(({ area, name, value }) => [`${area} / ${name}`, Number(value.toPrecision(4))]));
  appendFileSync(join(import.meta.dirname, 'history.ndjson'), `${JSON.stringify({ at, commit, ...run, figures })}\n`);
  say(`\n${targets.filter(({ met }) => met).length} of ${targets.length} targets met`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main(process.argv.slice(2));
