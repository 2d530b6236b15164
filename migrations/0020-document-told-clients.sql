-- Yjs clients under which persons told presence and that were nobody's by an edit when the document was unloaded last, as pairs of a
-- subject and its ids, the oldest first.
CREATE TABLE document_told_clients (
  document_id uuid PRIMARY KEY REFERENCES documents ON DELETE CASCADE,
  clients json NOT NULL
);
