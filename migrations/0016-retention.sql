-- What a dataset keeps of its versions, what was removed of them, and how files go that nothing refers to any more.

-- `retention` is the policy, with who made it and when; null: every version is kept. A deleted dataset can be brought back for a
-- while, and is gone for everybody until then.
ALTER TABLE datasets
  ADD COLUMN retention jsonb,
  ADD COLUMN deleted_at timestamptz(3),
  ADD COLUMN deleted_by text,
  ADD CONSTRAINT datasets_deleted CHECK ((deleted_at IS NULL) = (deleted_by IS NULL));

CREATE INDEX datasets_deleted_at ON datasets (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX datasets_retention ON datasets (dataset_id) WHERE retention IS NOT NULL;

-- The row of a removed version stays for ever, so that numbers, parents and logs go on meaning something. From `removed_at` on
-- nothing of its data is read; at `released_at` it let go of its files, and cannot be brought back.
ALTER TABLE versions
  ADD COLUMN removed_at timestamptz(3),
  ADD COLUMN released_at timestamptz(3),
  ADD CONSTRAINT versions_released CHECK (released_at IS NULL OR (removed_at IS NOT NULL AND cardinality(file_ids) = 0 AND original_key IS NULL));

CREATE INDEX versions_removed ON versions (removed_at) WHERE removed_at IS NOT NULL AND released_at IS NULL;

-- Objects that nothing refers to any more and that are still there. `announced_at` is later than the commit of the row, so that
-- who has read the table after that time knows of it. Outlives its dataset.
CREATE TABLE condemned_objects (
  object_key text PRIMARY KEY,
  dataset_id integer NOT NULL,
  bytes bigint NOT NULL,
  condemned_at timestamptz NOT NULL,
  announced_at timestamptz
);

CREATE INDEX condemned_objects_dataset ON condemned_objects (dataset_id);

-- Who may be reading files: servers, and backups under way. Of what was announced before `acknowledged_at` a reader needs only
-- what it holds. One that is not heard of until `expires_at` has ended.
CREATE TABLE file_readers (
  reader_id uuid PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('server', 'backup')),
  acknowledged_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);

CREATE TABLE object_holds (
  reader_id uuid NOT NULL REFERENCES file_readers ON DELETE CASCADE,
  object_key text NOT NULL,
  PRIMARY KEY (reader_id, object_key)
);
