-- What novascale remembers. Times: *_wall is milliseconds since 1970 (UTC), all others are
-- milliseconds of the steady clock. `body` is the JSON of a domain value; what queries look
-- at has a column of its own. Retention: src/store/keep.rs.

-- One row: whose state this is, who may write, and how the clocks stood at the last write.
CREATE TABLE controller (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    install  TEXT    NOT NULL,
    epoch    INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    holder   TEXT    NOT NULL DEFAULT '',
    wall     INTEGER,
    steady   INTEGER CHECK (steady >= 0),
    probes   INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Base, reservations, pin. Every group that anything is stored of has a row here.
CREATE TABLE group_state (
    group_name TEXT PRIMARY KEY,
    body       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE memory (
    group_name TEXT PRIMARY KEY,
    body       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Who ordered what, when, and why.
CREATE TABLE command (
    seq        INTEGER PRIMARY KEY,
    group_name TEXT    NOT NULL,
    at         INTEGER NOT NULL CHECK (at >= 0),
    body       TEXT    NOT NULL
) STRICT;
CREATE INDEX command_of_group ON command (group_name, at);

CREATE TABLE idempotency_key (
    group_name TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    digest     BLOB    NOT NULL,
    at         INTEGER NOT NULL CHECK (at >= 0),
    PRIMARY KEY (group_name, key)
) STRICT;
CREATE INDEX idempotency_key_by_age ON idempotency_key (group_name, at);

CREATE TABLE sample_id (
    group_name TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    at         INTEGER NOT NULL CHECK (at >= 0),
    PRIMARY KEY (group_name, id)
) STRICT;
CREATE INDEX sample_id_by_age ON sample_id (group_name, at);

-- The names in use, each with how many samples of it are kept, and of how many servers
-- there is a newest one; counted by triggers, for counting rows on every arrival would
-- make a flood slower the longer it lasts.
CREATE TABLE signal (
    group_name TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    kept       INTEGER NOT NULL DEFAULT 0,
    servers    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (group_name, name)
) STRICT, WITHOUT ROWID;

-- The newest sample of each name and server ('' where it is the group's whole load).
CREATE TABLE newest (
    group_name    TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    server        TEXT    NOT NULL,
    at_wall       INTEGER NOT NULL,
    value         REAL    NOT NULL CHECK (value >= 0),
    received_wall INTEGER NOT NULL,
    received      INTEGER NOT NULL CHECK (received >= 0),
    PRIMARY KEY (group_name, name, server)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER newest_comes AFTER INSERT ON newest BEGIN
    UPDATE signal SET servers = servers + 1
    WHERE group_name = NEW.group_name AND name = NEW.name;
END;
CREATE TRIGGER newest_goes AFTER DELETE ON newest BEGIN
    UPDATE signal SET servers = servers - 1
    WHERE group_name = OLD.group_name AND name = OLD.name;
END;

-- Every sample of the last hour.
CREATE TABLE sample (
    group_name    TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    server        TEXT    NOT NULL,
    at_wall       INTEGER NOT NULL,
    value         REAL    NOT NULL CHECK (value >= 0),
    received_wall INTEGER NOT NULL,
    received      INTEGER NOT NULL CHECK (received >= 0),
    PRIMARY KEY (group_name, name, at_wall, server)
) STRICT;
CREATE INDEX sample_by_age ON sample (group_name, received);

CREATE TRIGGER sample_comes AFTER INSERT ON sample BEGIN
    UPDATE signal SET kept = kept + 1 WHERE group_name = NEW.group_name AND name = NEW.name;
END;
CREATE TRIGGER sample_goes AFTER DELETE ON sample BEGIN
    UPDATE signal SET kept = kept - 1 WHERE group_name = OLD.group_name AND name = OLD.name;
END;

-- The journal. `ended` is set for abandoned and closed ones.
CREATE TABLE intent (
    id         TEXT    PRIMARY KEY,
    group_name TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    opened     INTEGER NOT NULL CHECK (opened >= 0),
    ended      INTEGER CHECK (ended >= 0),
    body       TEXT    NOT NULL
) STRICT;
CREATE INDEX intent_of_group ON intent (group_name, state, ended);

-- Members. `ended` is set for those that are members no more.
CREATE TABLE known (
    group_name TEXT    NOT NULL,
    server     TEXT    NOT NULL,
    ended      INTEGER CHECK (ended >= 0),
    body       TEXT    NOT NULL,
    PRIMARY KEY (group_name, server)
) STRICT;
CREATE INDEX known_by_age ON known (group_name, ended);

-- `again`: the row repeats the one before, and moves on while nothing changes.
CREATE TABLE decision (
    seq        INTEGER PRIMARY KEY,
    group_name TEXT    NOT NULL,
    at         INTEGER NOT NULL CHECK (at >= 0),
    again      INTEGER NOT NULL,
    body       TEXT    NOT NULL
) STRICT;
CREATE INDEX decision_of_group ON decision (group_name, seq);
CREATE INDEX decision_by_age ON decision (group_name, at);
