import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeRegressions, regressions } from './compare.ts';
import { isMet, type Measurement, type Scenario } from './measurement.ts';
import { reportOf, targetTable } from './report.ts';
import { beginRun, labelOf, type Results, readResults, resultsOf, rounded } from './results.ts';
import { scenarios } from './scenarios/index.ts';

const USAGE = `npm run bench [-- FLAGS] [SCENARIO…]

  --quick          smaller data and fewer runs
  --long           the scenarios that take long as well
  --compare FILE   then say what got worse than in these results beyond noise; status 1 if anything did
  --readme FILE    put the table of these results into README.md, and run nothing
`;

/** Runs scenarios one after the other, and writes what they measured to `results/` and a line of it to `history.ndjson`. */
async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean' },
      long: { type: 'boolean' },
      compare: { type: 'string' },
      readme: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) say(USAGE);
  else if (values.readme !== undefined) writeReadme(readResults(values.readme));
  else {
    // Before an hour of measuring whose comparison would fail.
    const base = values.compare === undefined ? undefined : readResults(values.compare);
    return measure(positionals, { quick: values.quick === true, long: values.long === true, base });
  }
  return 0;
}

interface Run {
  readonly quick: boolean;
  readonly long: boolean;
  /** The results to compare with. */
  readonly base: Results | undefined;
}

async function measure(names: readonly string[], { quick, long, base }: Run): Promise<number> {
  const unknown = names.filter((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown.length > 0) throw new Error(`there is no scenario ${unknown.join(', ')}; there are ${scenarios.map(({ name }) => name).join(', ')}`);
  const chosen = scenarios.filter(({ name, isLong }) => (names.length === 0 ? long || isLong !== true : names.includes(name)));
  const measurements: Measurement[] = [];
  const ran: string[] = [];
  const failed: string[] = [];
  // What is committed meanwhile was not measured.
  const begun = beginRun();
  const soFar = (): Results => resultsOf(measurements, { ...begun, quick, scenarios: ran, failed });
  for (const scenario of chosen) {
    ran.push(scenario.name);
    try {
      measurements.push(...(await runScenario(scenario, quick)));
    } catch (fault) {
      // What the others measure is worth as much without it.
      failed.push(scenario.name);
      say(`  failed: ${fault instanceof Error ? fault.stack : String(fault)}`);
    }
    // A run that is cut short leaves what it measured until then.
    write(soFar());
  }
  const results = soFar();
  keepInHistory(results);
  say(`\n${results.targets.filter(({ met }) => met).length} of ${results.targets.length} targets met`);
  if (failed.length > 0) say(`failed: ${failed.join(', ')}`);
  if (base === undefined) return failed.length === 0 ? 0 : 1;
  const found = regressions(base, results);
  say(`\n${describeRegressions(found)}`);
  return found.length + failed.length === 0 ? 0 : 1;
}

async function runScenario({ name, about, run }: Scenario, quick: boolean): Promise<Measurement[]> {
  say(`\n${name}: ${about}`);
  const startMs = performance.now();
  const measurements = await run({ quick, smoke: false, say: (text) => say(`  ${text}`) });
  for (const measurement of measurements) say(`  ${describe(measurement)}`);
  say(`  took ${Math.round((performance.now() - startMs) / 1000)} s`);
  return measurements;
}

function describe(measurement: Measurement): string {
  const { value, unit, spread, limit, bound } = measurement;
  const met = isMet(measurement);
  const verdict = met === undefined ? '' : ` — ${met ? 'met' : 'MISSED'}: ${bound ?? 'at most'} ${limit}`;
  const range = spread === undefined ? '' : ` (${rounded(spread[0])} to ${rounded(spread[1])})`;
  return `${labelOf(measurement)}: ${rounded(value)} ${unit}${range}${verdict}`;
}

function write(results: Results): void {
  const directory = join(import.meta.dirname, 'results');
  mkdirSync(directory, { recursive: true });
  const name = `${results.at.slice(0, 10)}-${results.commit}`;
  writeFileSync(join(directory, `${name}.json`), `${JSON.stringify(results, null, 2)}\n`);
  const { markdown, plots } = reportOf(results, name);
  writeFileSync(join(directory, `${name}.md`), markdown);
  for (const [file, svg] of plots) writeFileSync(join(directory, file), svg);
}

function keepInHistory({ at, commit, quick, scenarios: ran, measurements }: Results): void {
  const figures = Object.fromEntries(measurements.map((measurement) => [labelOf(measurement), Number(measurement.value.toPrecision(4))]));
  appendFileSync(join(import.meta.dirname, 'history.ndjson'), `${JSON.stringify({ at, commit, quick, scenarios: ran, figures })}\n`);
}

const [TABLE_BEGINS, TABLE_ENDS] = ['<!-- bench: begins -->', '<!-- bench: ends -->'];

/** The table in README.md is never typed. */
function writeReadme({ targets, machine, commit, at }: Results): void {
  const path = join(import.meta.dirname, '../README.md');
  const text = readFileSync(path, 'utf8');
  const [begin, end] = [text.indexOf(TABLE_BEGINS), text.indexOf(TABLE_ENDS)];
  if (begin < 0 || end < begin) throw new Error(`README.md has no ${TABLE_BEGINS} and ${TABLE_ENDS} around its table`);
  const where = `Commit ${commit}, ${at.slice(0, 10)}, ${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, Node ${machine.node}.`;
  writeFileSync(path, `${text.slice(0, begin)}${TABLE_BEGINS}\n\n${targetTable(targets)}\n\n${where}\n\n${text.slice(end)}`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

// Hundreds of programs are started, most of them alike: none of them translates again what another has.
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'covista-bench-code');
process.exitCode = await main(process.argv.slice(2));
