-- question: which epoch does validation accuracy select, and is it the last one?
-- grain: one row per study, data set, method and learning rate
-- units: epochs; validation accuracy in %
-- param study = null: one study; null = all
SELECT
  study,
  dataset,
  method,
  lr,
  count(*) AS n_runs,
  min(selected_epoch) AS earliest,
  median(selected_epoch) AS median,
  max(selected_epoch) AS latest,
  count(*) FILTER (WHERE selected_epoch = last_epoch) AS n_at_last_epoch,
  avg(val_acc_pct) AS val_acc_pct_mean
FROM runs
WHERE status = 'done' AND study = coalesce($study, study)
GROUP BY study, dataset, method, lr
ORDER BY study, dataset, method, lr;
