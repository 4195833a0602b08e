-- The freeze of every group (JSON), and the project that the state belongs to: set once, at the
-- first sign-in.
ALTER TABLE controller ADD COLUMN all_frozen TEXT;
ALTER TABLE controller ADD COLUMN project TEXT;
