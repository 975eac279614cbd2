-- Schema 2: every execution of a cell, not the current one alone; runs that come in bulk, without a record each.

CREATE TABLE raw.attempt (           -- one row per execution of a cell, the current one included
  study VARCHAR NOT NULL,
  cell_id VARCHAR NOT NULL,
  attempt INTEGER NOT NULL,
  status VARCHAR NOT NULL,
  error VARCHAR,
  selected_epoch INTEGER,
  test_acc_pct DOUBLE,
  result_sha256 VARCHAR NOT NULL,    -- of what was measured, without time, place and number of the attempt
  origin VARCHAR NOT NULL,
  host VARCHAR,
  started_at TIMESTAMP,              -- UTC
  finished_at TIMESTAMP,             -- UTC
  wall_s DOUBLE,
  PRIMARY KEY (study, cell_id, attempt)
);

CREATE TABLE raw.part (              -- one row per bulk part (_parts/<sha256>/*.parquet) that is loaded
  sha256 VARCHAR PRIMARY KEY,
  n_runs BIGINT NOT NULL             -- runs that it brought; fewer than it holds where a cell was there already
);

ALTER TABLE raw.run ADD COLUMN part VARCHAR;  -- the bulk part that holds the run; NULL = a record.json does

CREATE VIEW attempts AS
SELECT
  a.study,
  a.cell_id,
  a.attempt,
  a.attempt IS NOT DISTINCT FROM r.attempt AS current,
  r.backbone,
  r.dataset,
  r.method,
  r.lr,
  r.seed,
  a.status,
  a.error,
  a.selected_epoch,
  a.test_acc_pct,
  a.host,
  a.started_at,
  a.finished_at,
  a.wall_s,
  a.origin,
  a.result_sha256
FROM raw.attempt AS a
LEFT JOIN raw.run AS r ON r.study = a.study AND r.cell_id = a.cell_id;
