-- What is refused again and again is one entry with a count: `at` is its first time and `last_at` its last.
ALTER TABLE audit
  ADD COLUMN count integer NOT NULL DEFAULT 1,
  ADD COLUMN last_at timestamptz(3);

CREATE INDEX audit_actor ON audit (actor, sequence);
CREATE INDEX audit_time ON audit USING brin (at);

-- One that was taken back stays for a while, under a new sequence, so that every server learns of it.
ALTER TABLE revocations ADD COLUMN lifted boolean NOT NULL DEFAULT false;
