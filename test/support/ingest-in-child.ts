import { dirname } from 'node:path';
import { openTestContent } from './content.ts';

/** Ingests the files that it is given and prints what came of each, with what is left in the staging area. */
const paths = process.argv.slice(2);
const content = await openTestContent({}, { readable: paths.map(dirname) });
const outcomes: unknown[] = [];
for (const path of paths) {
  const outcome = await content.ingest(path).then(
    () => 'ingested',
    (error: { code?: string }) => error.code ?? String(error),
  );
  outcomes.push([outcome, await content.staged()]);
}
await content.close();
process.stdout.write(JSON.stringify(outcomes));
