-- Exports by the clock. `settings` says what is exported when and where to, with nothing in it that must stay secret; `secrets` is
-- sealed under a key of the data directory. `claims` and `groups` are those of the token that last made, changed or ran it, since
-- `claims_at`; of type json, which keeps claims letter by letter. `next_at` is null while it is paused, or if its time never comes.
CREATE TABLE schedules (
  schedule_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset_id integer NOT NULL REFERENCES datasets ON DELETE CASCADE,
  name text NOT NULL,
  owner text NOT NULL,
  groups text[] NOT NULL,
  claims json NOT NULL,
  claims_at timestamptz(3) NOT NULL,
  settings jsonb NOT NULL,
  secrets text,
  next_at timestamptz(3),
  paused_at timestamptz(3),
  paused_by text,
  pause_reason text,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT schedules_paused CHECK ((paused_at IS NULL) = (pause_reason IS NULL) AND (paused_at IS NULL OR next_at IS NULL))
);

CREATE INDEX schedules_dataset ON schedules (dataset_id, schedule_id);
CREATE INDEX schedules_owner ON schedules (owner);

-- A run has one row whatever becomes of it. While it is running it is its server's until `lease_until`; `attempts` rises with every
-- try, so that a server that lost a run without noticing writes nothing more. `worker` is what the job queue calls who has the job.
CREATE TABLE schedule_runs (
  run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  schedule_id integer NOT NULL REFERENCES schedules ON DELETE CASCADE,
  cause text NOT NULL CHECK (cause IN ('cron', 'asked')),
  due_at timestamptz(3) NOT NULL,
  state text NOT NULL CHECK (state IN ('waiting', 'running', 'succeeded', 'failed', 'skipped')),
  attempts integer NOT NULL DEFAULT 0,
  retry_at timestamptz(3),
  worker text,
  lease_until timestamptz,
  started_at timestamptz(3),
  finished_at timestamptz(3),
  version_id integer,
  rows bigint,
  bytes bigint,
  sha256 text,
  place text,
  file text,
  scope text,
  error jsonb
);

-- However many servers see that its time has come, it runs once.
CREATE UNIQUE INDEX schedule_runs_due ON schedule_runs (schedule_id, due_at) WHERE cause = 'cron';
CREATE INDEX schedule_runs_schedule ON schedule_runs (schedule_id, run_id);
CREATE INDEX schedule_runs_open ON schedule_runs (run_id) WHERE state IN ('waiting', 'running');
CREATE INDEX schedule_runs_file ON schedule_runs (run_id) WHERE file IS NOT NULL;
