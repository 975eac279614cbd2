-- question: after how many epochs does tracked zero-shot retention first fall below a threshold?
-- grain: one row per study, data set, method and learning rate
-- units: epochs, among the runs that fell below (n_below); threshold in % of base
-- param study = null: one study; null = all
-- param below = 90: retention in % of base
WITH first_below AS (
  SELECT study, cell_id, min(epoch) AS onset
  FROM epochs
  WHERE track_retention_pct < $below
  GROUP BY study, cell_id
)
SELECT
  r.study,
  r.dataset,
  r.method,
  r.lr,
  count(*) AS n_runs,
  count(f.onset) AS n_below,
  min(f.onset) AS earliest_among_below,
  median(f.onset) AS median_among_below
FROM runs AS r
LEFT JOIN first_below AS f USING (study, cell_id)
WHERE r.status = 'done' AND r.study = coalesce($study, r.study)
GROUP BY r.study, r.dataset, r.method, r.lr
ORDER BY r.study, r.dataset, r.method, r.lr;
