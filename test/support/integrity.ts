import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesOf, query, sha256 } from './inspect.ts';

/**
 * What must hold of the metadata and files of a server at every moment between transactions, read past the server. Each
 * entry of the answer is a contradiction.
 */
export async function contradictions(databaseUrl: string, dataDir: string): Promise<string[]> {
  const found: string[] = [];
  for (const [rule, statement] of Object.entries(RULES)) {
    const rows = await query(databaseUrl, statement);
    found.push(...rows.map((row) => `${rule}: ${JSON.stringify(row)}`));
  }
  return [...found, ...(await brokenFiles(databaseUrl, dataDir))];
}

/** Statements that find what breaks a rule. */
const RULES: Readonly<Record<string, string>> = {
  'version ids have no gaps': `
    SELECT d.dataset_id, d.next_version_id, count(v.version_id), max(v.version_id) FROM datasets d LEFT JOIN versions v USING (dataset_id)
    GROUP BY d.dataset_id HAVING count(v.version_id) <> d.next_version_id - 1 OR coalesce(max(v.version_id), 0) <> d.next_version_id - 1`,
  'the files of a version are there': `
    SELECT v.dataset_id, v.version_id, f.id FROM versions v CROSS JOIN LATERAL unnest(v.file_ids) AS f(id)
    LEFT JOIN data_files d ON d.file_id = f.id AND d.dataset_id = v.dataset_id WHERE d.file_id IS NULL`,
  'a version has the rows of its files': `
    SELECT v.dataset_id, v.version_id, v.rows, sum(d.rows) FROM versions v CROSS JOIN LATERAL unnest(v.file_ids) AS f(id)
    JOIN data_files d ON d.file_id = f.id GROUP BY v.dataset_id, v.version_id, v.rows HAVING sum(d.rows) <> v.rows`,
  'parents are older versions': `
    SELECT v.dataset_id, v.version_id, p.id FROM versions v CROSS JOIN LATERAL unnest(v.parents) AS p(id)
    LEFT JOIN versions o ON o.dataset_id = v.dataset_id AND o.version_id = p.id WHERE o.version_id IS NULL OR o.version_id >= v.version_id`,
  'a head is where its last movement led': `
    SELECT p.dataset_id, p.name, p.version_id, l.to_version FROM pointers p CROSS JOIN LATERAL (
      SELECT to_version FROM branch_log WHERE branch_id = p.branch_id ORDER BY sequence DESC LIMIT 1) AS l
    WHERE p.kind = 'branch' AND p.version_id IS DISTINCT FROM l.to_version`,
  'movements of a branch are a chain': `
    SELECT branch_id, sequence FROM (
      SELECT branch_id, sequence, from_version, lag(to_version) OVER (PARTITION BY branch_id ORDER BY sequence) AS before FROM branch_log) AS l
    WHERE from_version IS DISTINCT FROM before`,
  'every version but a root was committed to a branch once': `
    SELECT v.dataset_id, v.version_id FROM versions v
    LEFT JOIN branch_log l ON l.dataset_id = v.dataset_id AND l.to_version = v.version_id AND l.action = 'commit'
    GROUP BY v.dataset_id, v.version_id, v.parents HAVING count(l.sequence) <> least(cardinality(v.parents), 1)`,
  'every version has its audit row': `
    SELECT v.dataset_id, v.version_id, count(a.sequence) FROM versions v
    LEFT JOIN audit a ON a.dataset_id = v.dataset_id AND a.version_id = v.version_id AND a.operation IN ('version.commit', 'upload.commit')
    GROUP BY v.dataset_id, v.version_id HAVING count(a.sequence) <> 1`,
  'every version has its event': `
    SELECT v.dataset_id, v.version_id FROM versions v LEFT JOIN events e ON e.dataset_id = v.dataset_id AND e.kind = 'version.created'
      AND (e.data ->> 'versionId')::integer = v.version_id
    GROUP BY v.dataset_id, v.version_id HAVING count(e.sequence) <> 1`,
  'events are numbered without gaps': `
    SELECT d.dataset_id, d.last_event, count(e.sequence), max(e.sequence) FROM datasets d JOIN events e USING (dataset_id)
    GROUP BY d.dataset_id HAVING count(e.sequence) <> d.last_event OR max(e.sequence) <> d.last_event`,
  'a command happens once': `
    SELECT dataset_id, message, count(*) FROM versions WHERE message LIKE 'commit %' GROUP BY dataset_id, message HAVING count(*) > 1`,
};

interface Expected {
  readonly key: string;
  readonly bytes: string;
  readonly sha256: string;
}

/** Files that the metadata speaks of: data with their hashes, and originals with theirs. */
function expectedFiles(databaseUrl: string): Promise<Expected[]> {
  return query(
    databaseUrl,
    `SELECT object_key AS key, bytes, sha256 FROM data_files
     UNION SELECT original_key, (original ->> 'bytes')::bigint, original ->> 'sha256' FROM versions WHERE original_key IS NOT NULL`,
  );
}

async function brokenFiles(databaseUrl: string, dataDir: string): Promise<string[]> {
  const found: string[] = [];
  for (const { key, bytes, sha256: hash } of await expectedFiles(databaseUrl)) {
    const content = await readFile(join(dataDir, 'objects', key)).catch((error: NodeJS.ErrnoException) => error.code ?? 'unknown');
    if (typeof content === 'string') found.push(`object ${key} cannot be read: ${content}`);
    else if (content.length !== Number(bytes) || sha256(content) !== hash) found.push(`object ${key} is not what it was`);
  }
  return found;
}

/** Files that nothing refers to; of a server at rest there are none. */
export async function orphans(databaseUrl: string, dataDir: string): Promise<string[]> {
  const known = new Set((await expectedFiles(databaseUrl)).map(({ key }) => join('objects', key)));
  return (await filesOf(dataDir)).filter((file) => !known.has(file));
}
