-- Tables that were open when the server last saved them, so that it can load them again after maintenance or a restart. Who may
-- use one is decided anew at every use; `scope` is what of the rows it shows, and json rather than jsonb because ids of tables follow from its text.
CREATE TABLE saved_tables (
  table_id text COLLATE "C" PRIMARY KEY,
  dataset_id integer NOT NULL REFERENCES datasets ON DELETE CASCADE,
  version_id integer NOT NULL,
  options json NOT NULL,
  scope json NOT NULL,
  used_at timestamptz(3) NOT NULL
);

CREATE INDEX saved_tables_dataset ON saved_tables (dataset_id);
