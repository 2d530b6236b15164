import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Compared, compare } from './compare.ts';
import { isMet, type Measurement, restsOn, rounded, type Scenario } from './measurement.ts';
import { reportOf, targetTable } from './report.ts';
import { beginRun, earlierResults, labelOf, type Results, readResults, resultsOf, unmeasuredTargets, unusedName } from './results.ts';
import { scenarios } from './scenarios/index.ts';
import { sizingTable } from './sizing.ts';
import { isBrokenOff, leaveNothingWhenInterrupted, untilEnded } from './support/remains.ts';
import { forgetDataDir } from './support/server.ts';

const RESULTS = join(import.meta.dirname, 'results');

const USAGE = `npm run bench [-- FLAGS] [SCENARIO…]

  --quick          the scenarios that have targets, with smaller data and fewer runs
  --long           the scenarios that take long as well
  --compare FILE   then say which targets are no longer met, and what got worse than in these results beyond noise; status 1 if anything got worse;
                   with another file of results instead of scenarios, such as one of \`covista load --out\`, the two are compared and nothing is run
  --readme FILE    put the tables of these results into README.md and the operator's chapter, and run nothing
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
  if (values.compare !== undefined && isFile(positionals)) return compareFiles(values.compare, positionals[0]);
  const unknown = positionals.filter((name) => !scenarios.some((scenario) => scenario.name === name));
  if (values.help === true) say(USAGE);
  else if (unknown.length > 0) {
    process.stderr.write(`there is no scenario ${unknown.join(', ')}; there are ${scenarios.map(({ name }) => name).join(', ')}\n`);
    return 2;
  } else if (values.readme !== undefined) writeTables(readResults(values.readme));
  else {
    // Before an hour of measuring whose comparison would fail.
    const base = values.compare === undefined ? undefined : readResults(values.compare);
    const quick = values.quick === true;
    if (base !== undefined && base.quick !== quick) return refuse(values.compare, base);
    return measure(positionals, { quick, long: values.long === true, base });
  }
  return 0;
}

/** No scenario is named like that. */
const isFile = (operands: readonly string[]): operands is readonly [string] => operands.length === 1 && operands[0]?.endsWith('.json') === true;

function compareFiles(...paths: readonly [string, string]): number {
  const [base, other] = [readResults(paths[0]), readResults(paths[1])];
  return base.quick === other.quick ? tellComparison(base, other) : refuse(paths[0], base);
}

function refuse(path: string | undefined, { quick }: Compared): number {
  process.stderr.write(`${path} is of a run ${quick ? 'with' : 'without'} --quick, whose figures are of other sizes\n`);
  return 2;
}

/** Answers the exit status. */
function tellComparison(base: Compared, current: Compared): number {
  const { lines, passes } = compare(base, current);
  for (const line of lines) say(`\n${line}`);
  return passes ? 0 : 1;
}

interface Run {
  readonly quick: boolean;
  readonly long: boolean;
  /** The results to compare with. */
  readonly base: Results | undefined;
}

async function measure(names: readonly string[], { quick, long, base }: Run): Promise<number> {
  const isMeant = ({ isLong, isCurves }: Scenario): boolean => (long || isLong !== true) && !(quick && isCurves === true);
  const chosen = scenarios.filter((scenario) => (names.length === 0 ? isMeant(scenario) : names.includes(scenario.name)));
  const found: Found = { measurements: [], ran: [], seconds: {}, brokeOff: [] };
  // What is committed meanwhile was not measured.
  const begun = beginRun();
  mkdirSync(RESULTS, { recursive: true });
  const earlier = earlierResults(RESULTS, quick);
  const name = unusedName(RESULTS, begun);
  for (const scenario of chosen) {
    await runScenario(scenario, { quick, found });
    // What breaks a run off is no finding.
    if (isBrokenOff()) return untilEnded();
    // A run that is cut short leaves what it measured until then.
    write(name, resultsOfRun({ ...begun, quick }, found, earlier));
  }
  await forgetDataDir();
  const results = resultsOfRun({ ...begun, quick }, found, earlier);
  keepInHistory(results);
  say(`\n${results.targets.filter(({ met }) => met).length} of ${results.targets.length} targets met`);
  if (found.brokeOff.length > 0) say(`failed: ${results.failed?.join(', ')}`);
  const compared = base === undefined ? 0 : tellComparison(base, results);
  return found.brokeOff.length === 0 ? compared : 1;
}

/** What a run found so far. */
interface Found {
  readonly measurements: Measurement[];
  readonly ran: string[];
  readonly seconds: Record<string, number>;
  readonly brokeOff: Scenario[];
}

function resultsOfRun(
  run: Pick<Results, 'at' | 'commit' | 'machine' | 'quick'>,
  { measurements, ran, seconds, brokeOff }: Found,
  earlier: readonly Results[],
): Results {
  const failed = brokeOff.map(({ name }) => name);
  return resultsOf(measurements, { ...run, scenarios: ran, scenarioSeconds: seconds, failed }, unmeasuredTargets(brokeOff, measurements, earlier));
}

async function runScenario(scenario: Scenario, { quick, found }: { readonly quick: boolean; readonly found: Found }): Promise<void> {
  const { name, about, run } = scenario;
  say(`\n${name}: ${about}`);
  found.ran.push(name);
  const startMs = performance.now();
  try {
    const measurements = await run({ quick, smoke: false, say: (text) => say(`  ${text}`) });
    for (const measurement of measurements) say(`  ${describe(measurement)}`);
    found.measurements.push(...measurements.map((measurement) => ({ ...measurement, scenario: name })));
  } catch (fault) {
    // What the others measure is worth as much without it.
    found.brokeOff.push(scenario);
    say(`  failed: ${fault instanceof Error ? fault.stack : String(fault)}`);
  }
  const seconds = Math.round((performance.now() - startMs) / 100) / 10;
  found.seconds[name] = seconds;
  say(`  took ${Math.round(seconds)} s`);
}

function describe(measurement: Measurement): string {
  const { value, unit, limit, bound } = measurement;
  const met = isMet(measurement);
  const times = limit === undefined || limit === 0 ? '' : `, ${rounded(value / limit)} of it`;
  const verdict = met === undefined ? '' : ` — ${met ? 'met' : 'MISSED'}: ${bound ?? 'at most'} ${limit}${times}`;
  const basis = restsOn(measurement);
  return `${labelOf(measurement)}: ${rounded(value)} ${unit}${basis.length === 0 ? '' : ` (${basis.join(', ')})`}${verdict}`;
}

function write(name: string, results: Results): void {
  writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify(results, null, 2)}\n`);
  const { markdown, plots } = reportOf(results, name);
  writeFileSync(join(RESULTS, `${name}.md`), markdown);
  for (const [file, svg] of plots) writeFileSync(join(RESULTS, file), svg);
}

function keepInHistory({ at, commit, quick, scenarios: ran, measurements }: Results): void {
  const figures = Object.fromEntries(measurements.map((measurement) => [labelOf(measurement), Number(measurement.value.toPrecision(4))]));
  appendFileSync(join(import.meta.dirname, 'history.ndjson'), `${JSON.stringify({ at, commit, quick, scenarios: ran, figures })}\n`);
}

const [TABLE_BEGINS, TABLE_ENDS] = ['<!-- bench: begins -->', '<!-- bench: ends -->'];

/** The tables of the documents are never typed. */
function writeTables(results: Results): void {
  const { targets, machine, commit, at } = results;
  const where = `Commit ${commit}, ${at.slice(0, 10)}, ${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, Node ${machine.node}.`;
  // Both are made before either is written.
  const tables = { 'README.md': targetTable(targets), 'server/deploy/OPERATIONS.md': sizingTable(results) };
  for (const [file, table] of Object.entries(tables)) writeTable(file, `${table}\n\n${where}`);
}

function writeTable(file: string, table: string): void {
  const path = join(import.meta.dirname, '..', file);
  const text = readFileSync(path, 'utf8');
  const [begin, end] = [text.indexOf(TABLE_BEGINS), text.indexOf(TABLE_ENDS)];
  if (begin < 0 || end < begin) throw new Error(`${file} has no ${TABLE_BEGINS} and ${TABLE_ENDS} around its table`);
  writeFileSync(path, `${text.slice(0, begin)}${TABLE_BEGINS}\n\n${table}\n\n${text.slice(end)}`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

// Hundreds of programs are started, most of them alike: none of them translates again what another has.
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'covista-bench-code');
leaveNothingWhenInterrupted();
// Clients of a scenario that broke off may wait for their server for ever.
process.exit(await main(process.argv.slice(2)));
