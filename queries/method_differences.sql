-- question: how do two methods differ over identical data set, learning rate and seed?
-- grain: one row per study, data set and learning rate
-- units: percentage points of accuracy, of retention and of entropy drift; a minus b, mean over seeds
-- param study = null: one study; null = all
-- param a = lora_r8: first method
-- param b = full_ft: second method
SELECT
  a.study,
  a.dataset,
  a.lr,
  count(*) AS n_pairs,
  avg(a.test_acc_pct - b.test_acc_pct) AS test_acc_diff,
  avg(a.retention_pct - b.retention_pct) AS retention_diff,
  stddev_samp(a.retention_pct - b.retention_pct) AS retention_diff_sd,
  avg(a.delta_entropy_pct - b.delta_entropy_pct) AS delta_entropy_diff
FROM runs AS a
JOIN runs AS b USING (study, backbone, protocol, dataset, lr, seed)
WHERE a.method = $a AND b.method = $b AND a.status = 'done' AND b.status = 'done'
  AND a.study = coalesce($study, a.study)
GROUP BY a.study, a.dataset, a.lr
ORDER BY a.study, a.dataset, a.lr;
