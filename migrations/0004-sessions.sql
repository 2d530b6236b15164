-- Tokens that are refused although they hold: one by its id, or those of a subject that were issued until a time. `sequence`
-- rises in the order of the commits, so that servers read what is new. What `expires_at` says has ended is pruned.
CREATE SEQUENCE revocation_sequence AS bigint;

CREATE TABLE revocations (
  token_id text,
  subject text,
  sequence bigint NOT NULL DEFAULT nextval('revocation_sequence') UNIQUE,
  issued_before timestamptz,
  expires_at timestamptz,
  reason text NOT NULL,
  revoked_by text NOT NULL,
  revoked_at timestamptz NOT NULL,
  CONSTRAINT revocations_token UNIQUE (token_id),
  CONSTRAINT revocations_subject UNIQUE (subject),
  CONSTRAINT revocations_one CHECK ((token_id IS NULL) <> (subject IS NULL)),
  CONSTRAINT revocations_issued CHECK ((subject IS NULL) = (issued_before IS NULL))
);

-- One-time tickets, by the SHA-256 of what their holder shows. The claims are of type json, which keeps them letter by letter.
CREATE TABLE tickets (
  hash text PRIMARY KEY,
  subject text NOT NULL,
  claims json NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX tickets_subject ON tickets (subject);
CREATE INDEX tickets_time ON tickets (expires_at);
