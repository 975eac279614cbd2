-- Schema 1. Tables hold what records say, as measured; views derive drifts, retentions, standard errors and averages.
-- Tables live in the schema `raw`, so that `show tables` lists the public views alone. One run (the current attempt of a
-- cell) has one run_id, which links its rows; it changes when the record changes, so no other table may keep it for long.
-- Never edit this file once it is released: add the next number.

CREATE SCHEMA raw;

CREATE TABLE raw.migration (         -- one row per step applied to this file
  version INTEGER PRIMARY KEY,
  name VARCHAR NOT NULL,
  heatdrift VARCHAR NOT NULL,        -- version that applied it
  applied_at TIMESTAMP NOT NULL      -- UTC
);

CREATE TABLE raw.run (               -- one row per study and cell
  run_id BIGINT NOT NULL,
  study VARCHAR NOT NULL,
  cell_id VARCHAR NOT NULL,
  record_sha256 VARCHAR NOT NULL,    -- of the bytes of record.json: decides whether ingest takes the record again
  attempt INTEGER NOT NULL,
  origin VARCHAR NOT NULL,
  status VARCHAR NOT NULL,
  error VARCHAR,
  protocol VARCHAR NOT NULL,
  backbone VARCHAR NOT NULL,
  backbone_sha256 VARCHAR,
  dataset VARCHAR NOT NULL,
  data_sha256 VARCHAR,
  method VARCHAR NOT NULL,
  method_spec VARCHAR,               -- JSON
  lr DOUBLE NOT NULL,
  seed BIGINT NOT NULL,
  epochs INTEGER,
  batch_size INTEGER,
  weight_decay DOUBLE,
  warmup_fraction DOUBLE,
  clip_norm DOUBLE,
  train_per_class INTEGER,
  val_per_class INTEGER,
  probe_per_class INTEGER,
  data_seed BIGINT,
  requested_precision VARCHAR,
  select_on VARCHAR,
  selected_epoch INTEGER,
  last_epoch INTEGER,
  trainable_params BIGINT,
  total_params BIGINT,
  test_acc_pct DOUBLE,
  n_train BIGINT,
  n_val BIGINT,
  n_test BIGINT,
  n_probe BIGINT,
  transfer_set VARCHAR,              -- the cell's first one
  prompt_template VARCHAR,
  adapter_live_max_diff DOUBLE,
  adapter_off_max_diff DOUBLE,
  "commit" VARCHAR,
  dirty BOOLEAN,
  diff_sha256 VARCHAR,
  packages VARCHAR,                  -- JSON
  python VARCHAR,
  platform VARCHAR,
  host VARCHAR,
  device VARCHAR,
  threads INTEGER,
  precision VARCHAR,
  split_sha256 VARCHAR,
  class_names VARCHAR,               -- JSON
  preprocess VARCHAR,                -- JSON
  source VARCHAR,
  started_at TIMESTAMP,              -- UTC
  finished_at TIMESTAMP,             -- UTC
  wall_s DOUBLE,
  PRIMARY KEY (study, cell_id)
);

CREATE TABLE raw.epoch (             -- one row per run and epoch; epoch 0 = base; *_last = the last block alone
  run_id BIGINT NOT NULL,
  epoch INTEGER NOT NULL,
  train_loss DOUBLE,
  train_acc_pct DOUBLE,
  val_acc_pct DOUBLE,
  track_zero_shot_pct DOUBLE,
  entropy DOUBLE,
  erf95 DOUBLE,
  gini DOUBLE,
  cls_self_mass DOUBLE,
  head_diversity DOUBLE,
  rollout_entropy DOUBLE,
  rollout_erf95 DOUBLE,
  rollout_gini DOUBLE,
  patch_entropy DOUBLE,
  cka DOUBLE,
  cka_debiased DOUBLE,
  embedding_drift DOUBLE,
  weight_drift DOUBLE,
  proj_drift DOUBLE,
  entropy_last DOUBLE,
  erf95_last DOUBLE,
  gini_last DOUBLE,
  cls_self_mass_last DOUBLE,
  head_diversity_last DOUBLE,
  patch_entropy_last DOUBLE,
  cka_last DOUBLE,
  cka_debiased_last DOUBLE
);

CREATE TABLE raw.layer (             -- one row per run, epoch, block and metric
  run_id BIGINT NOT NULL,
  epoch INTEGER NOT NULL,
  layer INTEGER NOT NULL,
  metric VARCHAR NOT NULL,
  value DOUBLE
);

CREATE TABLE raw.head (              -- one row per run, epoch, block, attention head and metric
  run_id BIGINT NOT NULL,
  epoch INTEGER NOT NULL,
  layer INTEGER NOT NULL,
  head INTEGER NOT NULL,
  metric VARCHAR NOT NULL,
  value DOUBLE
);

CREATE TABLE raw.transfer (          -- one row per run and transfer set, at the selected epoch
  run_id BIGINT NOT NULL,
  transfer_set VARCHAR NOT NULL,
  n_images BIGINT NOT NULL,
  base_pct DOUBLE NOT NULL,
  adapted_pct DOUBLE NOT NULL
);

CREATE TABLE raw.robustness (        -- one row per run and corruption
  run_id BIGINT NOT NULL,
  corruption VARCHAR NOT NULL,
  acc_pct DOUBLE NOT NULL
);

-- Every epoch beside its run's base. Drift is a ratio of means: 100 (adapted - base) / base.
CREATE VIEW raw.epoch_drift AS
SELECT
  e.run_id,
  e.epoch,
  e.train_loss,
  e.train_acc_pct,
  e.val_acc_pct,
  e.entropy,
  e.erf95,
  e.gini,
  e.cls_self_mass,
  e.head_diversity,
  e.rollout_entropy,
  e.rollout_erf95,
  e.rollout_gini,
  e.patch_entropy,
  e.cka,
  e.cka_debiased,
  e.embedding_drift,
  e.weight_drift,
  e.proj_drift,
  100 * (e.entropy - b.entropy) / nullif(b.entropy, 0) AS delta_entropy_pct,
  100 * (e.erf95 - b.erf95) / nullif(b.erf95, 0) AS delta_erf95_pct,
  100 * (e.gini - b.gini) / nullif(b.gini, 0) AS delta_gini_pct,
  100 * (e.cls_self_mass - b.cls_self_mass) / nullif(b.cls_self_mass, 0) AS delta_cls_self_mass_pct,
  100 * (e.head_diversity - b.head_diversity) / nullif(b.head_diversity, 0) AS delta_head_diversity_pct,
  100 * (e.rollout_entropy - b.rollout_entropy) / nullif(b.rollout_entropy, 0) AS delta_rollout_entropy_pct,
  100 * (e.rollout_erf95 - b.rollout_erf95) / nullif(b.rollout_erf95, 0) AS delta_rollout_erf95_pct,
  100 * (e.rollout_gini - b.rollout_gini) / nullif(b.rollout_gini, 0) AS delta_rollout_gini_pct,
  100 * (e.patch_entropy - b.patch_entropy) / nullif(b.patch_entropy, 0) AS delta_patch_entropy_pct,
  e.track_zero_shot_pct,
  100 * e.track_zero_shot_pct / nullif(b.track_zero_shot_pct, 0) AS track_retention_pct,
  e.entropy_last,
  e.erf95_last,
  e.gini_last,
  e.cls_self_mass_last,
  e.head_diversity_last,
  e.patch_entropy_last,
  e.cka_last,
  e.cka_debiased_last,
  100 * (e.entropy_last - b.entropy_last) / nullif(b.entropy_last, 0) AS delta_entropy_last_pct,
  100 * (e.erf95_last - b.erf95_last) / nullif(b.erf95_last, 0) AS delta_erf95_last_pct,
  100 * (e.gini_last - b.gini_last) / nullif(b.gini_last, 0) AS delta_gini_last_pct,
  100 * (e.cls_self_mass_last - b.cls_self_mass_last) / nullif(b.cls_self_mass_last, 0) AS delta_cls_self_mass_last_pct,
  100 * (e.head_diversity_last - b.head_diversity_last) / nullif(b.head_diversity_last, 0) AS delta_head_diversity_last_pct,
  100 * (e.patch_entropy_last - b.patch_entropy_last) / nullif(b.patch_entropy_last, 0) AS delta_patch_entropy_last_pct
FROM raw.epoch AS e
LEFT JOIN raw.epoch AS b ON b.run_id = e.run_id AND b.epoch = 0;

CREATE VIEW runs AS
SELECT
  r.study,
  r.cell_id,
  r.protocol,
  r.backbone,
  r.dataset,
  r.method,
  r.lr,
  r.seed,
  r.status,
  r.epochs,
  r.selected_epoch,
  r.trainable_params,
  e.train_loss,
  e.val_acc_pct,
  r.test_acc_pct,
  e.entropy,
  e.delta_entropy_pct,
  e.delta_entropy_last_pct,
  e.delta_erf95_pct,
  e.delta_gini_pct,
  e.delta_head_diversity_pct,
  e.delta_rollout_entropy_pct,
  e.delta_patch_entropy_pct,
  e.cka,
  e.cka_last,
  e.cka_debiased,
  e.embedding_drift,
  e.weight_drift,
  e.proj_drift,
  r.transfer_set,
  t.base_pct AS zero_shot_base_pct,
  t.adapted_pct AS zero_shot_pct,
  100 * t.adapted_pct / nullif(t.base_pct, 0) AS retention_pct,
  r.wall_s,
  r."commit",
  r.dirty,
  r.started_at,
  r.finished_at,
  r.error,
  r.attempt,
  r.origin,
  r.last_epoch,
  sqrt(e.val_acc_pct * (100 - e.val_acc_pct) / r.n_val) AS val_acc_se_pct,
  sqrt(r.test_acc_pct * (100 - r.test_acc_pct) / r.n_test) AS test_acc_se_pct,
  sqrt(t.adapted_pct * (100 - t.adapted_pct) / t.n_images) AS zero_shot_se_pct,
  e.delta_cls_self_mass_pct,
  e.delta_rollout_erf95_pct,
  e.delta_rollout_gini_pct,
  e.delta_erf95_last_pct,
  e.delta_gini_last_pct,
  e.delta_cls_self_mass_last_pct,
  e.delta_head_diversity_last_pct,
  e.delta_patch_entropy_last_pct,
  e.cka_debiased_last,
  r.total_params,
  r.n_train,
  r.n_val,
  r.n_test,
  r.n_probe,
  t.n_images AS n_transfer,
  r.adapter_live_max_diff,
  r.adapter_off_max_diff,
  r.batch_size,
  r.weight_decay,
  r.warmup_fraction,
  r.clip_norm,
  r.train_per_class,
  r.val_per_class,
  r.probe_per_class,
  r.data_seed,
  r.select_on,
  r.requested_precision,
  r.precision,
  r.device,
  r.threads,
  r.host,
  r.python,
  r.platform,
  r.packages,
  r.diff_sha256,
  r.method_spec,
  r.backbone_sha256,
  r.data_sha256,
  r.split_sha256,
  r.prompt_template,
  r.class_names,
  r.preprocess,
  r.source,
  r.record_sha256
FROM raw.run AS r
LEFT JOIN raw.epoch_drift AS e ON e.run_id = r.run_id AND e.epoch = r.selected_epoch
LEFT JOIN raw.transfer AS t ON t.run_id = r.run_id AND t.transfer_set = r.transfer_set;

CREATE VIEW epochs AS
SELECT
  r.study,
  r.cell_id,
  e.* EXCLUDE (run_id),
  e.epoch IS NOT DISTINCT FROM r.selected_epoch AS selected
FROM raw.epoch_drift AS e
JOIN raw.run AS r ON r.run_id = e.run_id;

-- CKA has no base value: it compares with base already.
CREATE VIEW layers AS
SELECT
  r.study,
  r.cell_id,
  v.epoch,
  v.layer,
  v.metric,
  v.value,
  b.value AS base,
  100 * (v.value - b.value) / nullif(b.value, 0) AS delta_pct
FROM raw.layer AS v
JOIN raw.run AS r ON r.run_id = v.run_id
LEFT JOIN raw.layer AS b
  ON b.run_id = v.run_id AND b.layer = v.layer AND b.metric = v.metric AND b.epoch = 0
  AND b.metric NOT IN ('cka', 'cka_debiased');

CREATE VIEW heads AS
SELECT
  r.study,
  r.cell_id,
  v.epoch,
  v.layer,
  v.head,
  v.metric,
  v.value,
  b.value AS base,
  100 * (v.value - b.value) / nullif(b.value, 0) AS delta_pct
FROM raw.head AS v
JOIN raw.run AS r ON r.run_id = v.run_id
LEFT JOIN raw.head AS b
  ON b.run_id = v.run_id AND b.layer = v.layer AND b.head = v.head AND b.metric = v.metric AND b.epoch = 0;

CREATE VIEW transfer AS
SELECT
  r.study,
  r.cell_id,
  t.transfer_set,
  t.n_images,
  t.base_pct,
  t.adapted_pct,
  100 * t.adapted_pct / nullif(t.base_pct, 0) AS retention_pct,
  sqrt(t.base_pct * (100 - t.base_pct) / t.n_images) AS base_se_pct,
  sqrt(t.adapted_pct * (100 - t.adapted_pct) / t.n_images) AS adapted_se_pct
FROM raw.transfer AS t
JOIN raw.run AS r ON r.run_id = t.run_id;

CREATE VIEW robustness AS
SELECT
  r.study,
  r.cell_id,
  c.corruption,
  c.acc_pct,
  sqrt(c.acc_pct * (100 - c.acc_pct) / r.n_test) AS acc_se_pct
FROM raw.robustness AS c
JOIN raw.run AS r ON r.run_id = c.run_id;

-- A cell here is a point of the grid without its seed: the unit that is averaged over seeds. Done runs only.
CREATE VIEW cells AS
SELECT
  study,
  backbone,
  dataset,
  method,
  lr,
  count(DISTINCT seed) AS n_seeds,
  avg(trainable_params) AS trainable_params_mean,
  stddev_samp(trainable_params) AS trainable_params_sd,
  avg(train_loss) AS train_loss_mean,
  stddev_samp(train_loss) AS train_loss_sd,
  avg(val_acc_pct) AS val_acc_pct_mean,
  stddev_samp(val_acc_pct) AS val_acc_pct_sd,
  avg(test_acc_pct) AS test_acc_pct_mean,
  stddev_samp(test_acc_pct) AS test_acc_pct_sd,
  avg(entropy) AS entropy_mean,
  stddev_samp(entropy) AS entropy_sd,
  avg(delta_entropy_pct) AS delta_entropy_pct_mean,
  stddev_samp(delta_entropy_pct) AS delta_entropy_pct_sd,
  avg(delta_entropy_last_pct) AS delta_entropy_last_pct_mean,
  stddev_samp(delta_entropy_last_pct) AS delta_entropy_last_pct_sd,
  avg(delta_erf95_pct) AS delta_erf95_pct_mean,
  stddev_samp(delta_erf95_pct) AS delta_erf95_pct_sd,
  avg(delta_gini_pct) AS delta_gini_pct_mean,
  stddev_samp(delta_gini_pct) AS delta_gini_pct_sd,
  avg(delta_head_diversity_pct) AS delta_head_diversity_pct_mean,
  stddev_samp(delta_head_diversity_pct) AS delta_head_diversity_pct_sd,
  avg(delta_rollout_entropy_pct) AS delta_rollout_entropy_pct_mean,
  stddev_samp(delta_rollout_entropy_pct) AS delta_rollout_entropy_pct_sd,
  avg(delta_patch_entropy_pct) AS delta_patch_entropy_pct_mean,
  stddev_samp(delta_patch_entropy_pct) AS delta_patch_entropy_pct_sd,
  avg(cka) AS cka_mean,
  stddev_samp(cka) AS cka_sd,
  avg(cka_last) AS cka_last_mean,
  stddev_samp(cka_last) AS cka_last_sd,
  avg(cka_debiased) AS cka_debiased_mean,
  stddev_samp(cka_debiased) AS cka_debiased_sd,
  avg(embedding_drift) AS embedding_drift_mean,
  stddev_samp(embedding_drift) AS embedding_drift_sd,
  avg(weight_drift) AS weight_drift_mean,
  stddev_samp(weight_drift) AS weight_drift_sd,
  avg(proj_drift) AS proj_drift_mean,
  stddev_samp(proj_drift) AS proj_drift_sd,
  avg(zero_shot_base_pct) AS zero_shot_base_pct_mean,
  stddev_samp(zero_shot_base_pct) AS zero_shot_base_pct_sd,
  avg(zero_shot_pct) AS zero_shot_pct_mean,
  stddev_samp(zero_shot_pct) AS zero_shot_pct_sd,
  avg(retention_pct) AS retention_pct_mean,
  stddev_samp(retention_pct) AS retention_pct_sd,
  avg(wall_s) AS wall_s_mean,
  stddev_samp(wall_s) AS wall_s_sd,
  count(*) AS n_runs
FROM runs
WHERE status = 'done'
GROUP BY study, backbone, dataset, method, lr;
