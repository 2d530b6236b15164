import { assert } from '../../shared/assert.ts';
import type { ContentStore } from '../content-store.ts';
import { UNRESTRICTED } from '../content-store.ts';
import type { Broker } from './broker.ts';
import { copyToParquet } from './parquet-options.ts';
import { scopedRelation } from './relation.ts';
import type { Staging } from './staging.ts';

/** Joins files into one of the content's schema; the rows keep their order. */
export function createMerger(broker: Broker, staging: Staging): ContentStore['merge'] {
  return (content, control) => {
    assert(content.files.length > 0, 'a merge has files');
    const { sql, values } = scopedRelation({ content, scope: UNRESTRICTED });
    return staging.write('merged.parquet', async (path) => {
      const rows = await broker.run('bulk', control, (session) => session.execute(copyToParquet(sql, path, content.schema.length), values));
      return staging.seal(path, { rows, schemaHash: content.schemaHash }, control.signal);
    });
  };
}
