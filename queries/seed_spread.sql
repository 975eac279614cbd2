-- question: which cells depend most on the seed?
-- grain: one row per study, data set, method and learning rate with at least two seeds
-- units: percentage points of accuracy, of retention and of entropy drift; highest minus lowest over seeds
-- param study = null: one study; null = all
SELECT
  study,
  dataset,
  method,
  lr,
  count(DISTINCT seed) AS n_seeds,
  max(test_acc_pct) - min(test_acc_pct) AS test_acc_range,
  max(retention_pct) - min(retention_pct) AS retention_range,
  stddev_samp(retention_pct) AS retention_sd,
  max(delta_entropy_pct) - min(delta_entropy_pct) AS delta_entropy_range,
  arg_min(seed, retention_pct) AS worst_seed,
  arg_max(seed, retention_pct) AS best_seed
FROM runs
WHERE status = 'done' AND study = coalesce($study, study)
GROUP BY study, backbone, dataset, method, lr
HAVING count(DISTINCT seed) > 1
ORDER BY retention_range DESC NULLS LAST, study, dataset, method, lr;
