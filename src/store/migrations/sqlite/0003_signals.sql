-- A signal has a number, by which its samples stand in order of measuring, in one tree and in no
-- other. Nothing that was kept is lost.
CREATE TABLE new_signal (
    id         INTEGER PRIMARY KEY,
    group_name TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    -- How many samples are kept, and of how many servers there is a newest one: counting rows
    -- on every arrival would make a flood slower the longer it lasts.
    kept       INTEGER NOT NULL DEFAULT 0,
    servers    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (group_name, name)
) STRICT;
INSERT INTO new_signal (group_name, name, kept) SELECT group_name, name, kept FROM signal;

-- The newest sample of each signal and server ('' where it is the group's whole load).
CREATE TABLE new_newest (
    signal        INTEGER NOT NULL,
    server        TEXT    NOT NULL,
    at_wall       INTEGER NOT NULL,
    value         REAL    NOT NULL CHECK (value >= 0),
    received_wall INTEGER NOT NULL,
    received      INTEGER NOT NULL CHECK (received >= 0),
    PRIMARY KEY (signal, server)
) STRICT, WITHOUT ROWID;
INSERT INTO new_newest
    SELECT id, server, at_wall, value, received_wall, received
    FROM newest JOIN new_signal USING (group_name, name);

-- Every sample of the last hours.
CREATE TABLE new_sample (
    signal        INTEGER NOT NULL,
    at_wall       INTEGER NOT NULL,
    server        TEXT    NOT NULL,
    value         REAL    NOT NULL CHECK (value >= 0),
    received_wall INTEGER NOT NULL,
    received      INTEGER NOT NULL CHECK (received >= 0),
    PRIMARY KEY (signal, at_wall, server)
) STRICT, WITHOUT ROWID;
INSERT INTO new_sample
    SELECT id, at_wall, server, value, received_wall, received
    FROM sample JOIN new_signal USING (group_name, name);

DROP TABLE sample;
DROP TABLE newest;
DROP TABLE signal;
ALTER TABLE new_signal RENAME TO signal;
ALTER TABLE new_newest RENAME TO newest;
ALTER TABLE new_sample RENAME TO sample;

UPDATE signal SET servers = (SELECT count(*) FROM newest WHERE signal = id);
CREATE TRIGGER newest_comes AFTER INSERT ON newest BEGIN
    UPDATE signal SET servers = servers + 1 WHERE id = NEW.signal;
END;
CREATE TRIGGER newest_goes AFTER DELETE ON newest BEGIN
    UPDATE signal SET servers = servers - 1 WHERE id = OLD.signal;
END;
