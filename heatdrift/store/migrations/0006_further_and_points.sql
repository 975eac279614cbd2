-- Schema 6: results under names of their own, which an imported table had besides ours; and reference points, zero-shot
-- accuracies of pretrained models from result tables, which are no runs.

CREATE TABLE raw.further (            -- one row per run and further metric, at the selected epoch
  run_id BIGINT NOT NULL,
  metric VARCHAR NOT NULL,
  value DOUBLE NOT NULL
);

CREATE VIEW further AS
SELECT
  r.study,
  r.cell_id,
  f.metric,
  f.value
FROM raw.further AS f
JOIN raw.run AS r ON r.run_id = f.run_id;

CREATE TABLE raw.reference_point (    -- one row per study, pretrained model, data set and metric of an imported table
  sha256 VARCHAR NOT NULL,           -- of the file that it came from, in _points
  study VARCHAR NOT NULL,
  backbone VARCHAR NOT NULL,
  dataset VARCHAR NOT NULL,
  metric VARCHAR NOT NULL,
  value_pct DOUBLE NOT NULL,
  source VARCHAR NOT NULL
);

CREATE VIEW reference_points AS
SELECT DISTINCT study, backbone, dataset, metric, value_pct, source FROM raw.reference_point;
