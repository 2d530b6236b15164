-- Live documents (Yjs): an append-only log of updates in batches, the state up to some batch, who made which edits, and history.

-- `owner` is the server that has the document open, until `owned_until`; `fence` rises with every owner, so that a server that
-- lost the document without noticing writes nothing more. `scope` is what its readers see of the dataset; null: everything.
CREATE TABLE documents (
  document_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name text COLLATE "C" NOT NULL UNIQUE,
  dataset_id integer REFERENCES datasets ON DELETE CASCADE,
  scope jsonb,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  owner uuid,
  owned_until timestamptz,
  fence bigint NOT NULL DEFAULT 0,
  last_sequence bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);

CREATE INDEX documents_dataset ON documents (dataset_id, name);

-- A batch holds updates as they were committed together, each with its length before it.
CREATE TABLE document_batches (
  document_id uuid NOT NULL REFERENCES documents ON DELETE CASCADE,
  sequence bigint NOT NULL,
  updates bytea NOT NULL,
  PRIMARY KEY (document_id, sequence)
);

-- What the batches up to a sequence come to; they are removed in the same transaction.
CREATE TABLE document_states (
  document_id uuid PRIMARY KEY REFERENCES documents ON DELETE CASCADE,
  sequence bigint NOT NULL,
  state bytea NOT NULL
);

-- Whose edits those of a Yjs client id are; null: the server's own, which restore what a refused edit had overwritten.
CREATE TABLE document_clients (
  document_id uuid NOT NULL REFERENCES documents ON DELETE CASCADE,
  client_id bigint NOT NULL,
  subject text,
  bound_at timestamptz(3) NOT NULL,
  PRIMARY KEY (document_id, client_id)
);

CREATE TABLE document_snapshots (
  snapshot_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  document_id uuid NOT NULL REFERENCES documents ON DELETE CASCADE,
  name text,
  taken_by text,
  taken_at timestamptz(3) NOT NULL,
  state bytea NOT NULL,
  CHECK ((name IS NULL) = (taken_by IS NULL))
);

CREATE INDEX document_snapshots_document ON document_snapshots (document_id, snapshot_id);
