-- Schema 4: views whose columns depend on the list of metrics are made by store/views.py from heatdrift/metrics.py, and
-- so are the columns of raw.epoch; a new probe needs no step here. raw.layout says which list this file was made with.

CREATE TABLE raw.layout (            -- at most one row
  sha256 VARCHAR NOT NULL,           -- of the statements that made the views
  heatdrift VARCHAR NOT NULL,        -- version that made them
  made_at TIMESTAMP NOT NULL         -- UTC
);

DROP VIEW cells;
DROP VIEW runs;
DROP VIEW epochs;
DROP VIEW layers;
DROP VIEW heads;
DROP VIEW raw.epoch_drift;
