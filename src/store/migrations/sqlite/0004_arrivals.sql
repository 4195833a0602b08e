-- Samples that came in a flood, as they were taken, until they stand in their rows.
CREATE TABLE arrival (
    seq        INTEGER PRIMARY KEY,
    group_name TEXT NOT NULL,
    body       TEXT NOT NULL
) STRICT;
