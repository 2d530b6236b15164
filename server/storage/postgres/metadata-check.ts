import pg from 'pg';
import { translate } from './faults.ts';

/** What contradicts itself in the metadata, and the statement that makes it right again, where that follows from the rest. */
interface Rule {
  readonly what: string;
  /** Rows that break the rule, each with `at`: where. */
  readonly find: string;
  readonly mend?: string;
}

const RULES: readonly Rule[] = [
  {
    what: 'a version names a file that is not known',
    find: `SELECT format('version %s of dataset %s, file %s', v.version_id, v.dataset_id, f.id) AS at
      FROM versions v CROSS JOIN LATERAL unnest(v.file_ids) AS f(id)
      LEFT JOIN data_files d ON d.file_id = f.id AND d.dataset_id = v.dataset_id WHERE d.file_id IS NULL`,
  },
  {
    what: 'a version names a parent that is not older than it',
    find: `SELECT format('version %s of dataset %s, parent %s', v.version_id, v.dataset_id, p.id) AS at
      FROM versions v CROSS JOIN LATERAL unnest(v.parents) AS p(id)
      LEFT JOIN versions o ON o.dataset_id = v.dataset_id AND o.version_id = p.id WHERE o.version_id IS NULL OR o.version_id >= v.version_id`,
  },
  {
    what: 'a branch is not where its last movement led',
    find: `SELECT format('branch %s of dataset %s', p.name, p.dataset_id) AS at FROM pointers p CROSS JOIN LATERAL (
        SELECT to_version FROM branch_log WHERE branch_id = p.branch_id ORDER BY sequence DESC LIMIT 1) AS l
      WHERE p.kind = 'branch' AND p.version_id IS DISTINCT FROM l.to_version`,
  },
  {
    what: 'a version counts other rows than its files have',
    find: `SELECT format('version %s of dataset %s', v.version_id, v.dataset_id) AS at FROM versions v
      CROSS JOIN LATERAL (SELECT coalesce(sum(d.rows), 0) AS rows FROM unnest(v.file_ids) AS f(id) JOIN data_files d ON d.file_id = f.id) AS s
      WHERE s.rows <> v.rows AND v.released_at IS NULL`,
    mend: `UPDATE versions v SET rows = s.rows FROM (
        SELECT v.dataset_id, v.version_id, coalesce(sum(d.rows), 0) AS rows FROM versions v
        LEFT JOIN LATERAL unnest(v.file_ids) AS f(id) ON true LEFT JOIN data_files d ON d.file_id = f.id
        GROUP BY v.dataset_id, v.version_id) AS s
      WHERE s.dataset_id = v.dataset_id AND s.version_id = v.version_id AND s.rows <> v.rows AND v.released_at IS NULL`,
  },
  {
    what: 'a branch or tag leads to a version that was removed',
    find: `SELECT format('%s %s of dataset %s, version %s', p.kind, p.name, p.dataset_id, p.version_id) AS at
      FROM pointers p JOIN versions v USING (dataset_id, version_id) JOIN datasets d USING (dataset_id)
      WHERE v.removed_at IS NOT NULL AND d.deleted_at IS NULL`,
  },
  {
    what: 'the next version of a dataset would take a number that is used',
    find: `SELECT format('dataset %s', d.dataset_id) AS at FROM datasets d
      WHERE d.next_version_id <= (SELECT coalesce(max(version_id), 0) FROM versions v WHERE v.dataset_id = d.dataset_id)`,
    mend: `UPDATE datasets d SET next_version_id = s.newest + 1 FROM (SELECT dataset_id, max(version_id) AS newest FROM versions GROUP BY dataset_id) AS s
      WHERE s.dataset_id = d.dataset_id AND d.next_version_id <= s.newest`,
  },
  {
    what: 'the next event of a dataset would take a number that is used',
    find: `SELECT format('dataset %s', d.dataset_id) AS at FROM datasets d
      WHERE d.last_event < (SELECT coalesce(max(sequence), 0) FROM events e WHERE e.dataset_id = d.dataset_id)`,
    mend: `UPDATE datasets d SET last_event = s.newest FROM (SELECT dataset_id, max(sequence) AS newest FROM events GROUP BY dataset_id) AS s
      WHERE s.dataset_id = d.dataset_id AND d.last_event < s.newest`,
  },
];

export interface MetadataProblem {
  readonly what: string;
  readonly at: string;
  /** Whether it was made right again. */
  readonly isMended: boolean;
}

/** Looks for contradictions in the metadata at `url`; with `mend`, what follows from the rest is made right again. */
export async function checkMetadata(url: string, mend: boolean): Promise<MetadataProblem[]> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    const problems: MetadataProblem[] = [];
    for (const { what, find, mend: statement } of RULES) {
      const { rows } = await client.query<{ at: string }>(find);
      const isMended = mend && statement !== undefined && rows.length > 0;
      if (isMended) await client.query(statement);
      problems.push(...rows.map(({ at }) => ({ what, at, isMended })));
    }
    return problems;
  } catch (error) {
    throw translate(error);
  } finally {
    await client.end();
  }
}
