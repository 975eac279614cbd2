-- question: how do accuracy, drift and retention move from epoch to epoch?
-- grain: one row per study, data set, method, learning rate and epoch
-- units: accuracies in %, drift and retention in % of base; means over seeds
-- param study = null: one study; null = all
SELECT
  r.study,
  r.dataset,
  r.method,
  r.lr,
  e.epoch,
  count(*) AS n_runs,
  avg(e.train_loss) AS train_loss_mean,
  avg(e.val_acc_pct) AS val_acc_pct_mean,
  avg(e.delta_entropy_pct) AS delta_entropy_pct_mean,
  avg(e.cka) AS cka_mean,
  avg(e.track_retention_pct) AS track_retention_pct_mean
FROM epochs AS e
JOIN runs AS r USING (study, cell_id)
WHERE r.status = 'done' AND r.study = coalesce($study, r.study)
GROUP BY r.study, r.dataset, r.method, r.lr, e.epoch
ORDER BY r.study, r.dataset, r.method, r.lr, e.epoch;
