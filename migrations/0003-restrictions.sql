-- What a grant shows may be restricted: rows by `row_filter`, which is what its author wrote, and `filter`, which is what was
-- made of it when it was checked; columns by `column_mask`, beside which every column is hidden that came after the grant.
-- A restricted grant is one to read: a writer who does not see everything would destroy what they do not see.
ALTER TABLE grants
  ADD COLUMN row_filter text,
  ADD COLUMN filter jsonb,
  ADD COLUMN column_mask text[],
  ADD COLUMN column_ids_below integer,
  ADD CONSTRAINT grants_filter CHECK ((row_filter IS NULL) = (filter IS NULL)),
  ADD CONSTRAINT grants_mask CHECK ((column_mask IS NULL) = (column_ids_below IS NULL)),
  ADD CONSTRAINT grants_restricted CHECK (permission = 'read' OR (row_filter IS NULL AND column_mask IS NULL));
