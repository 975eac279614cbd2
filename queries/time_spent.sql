-- question: how long do runs take, and how much time went into attempts that were killed or failed?
-- grain: one row per study, data set and method
-- units: seconds per finished run; hours over all attempts
-- param study = null: one study; null = all
SELECT
  study,
  dataset,
  method,
  count(*) FILTER (WHERE status = 'done') AS n_done,
  count(*) FILTER (WHERE status = 'failed') AS n_failed,
  avg(wall_s) FILTER (WHERE status = 'done') AS wall_s_mean,
  max(wall_s) FILTER (WHERE status = 'done') AS wall_s_max,
  sum(wall_s) / 3600 AS hours,
  coalesce(sum(wall_s) FILTER (WHERE status <> 'done'), 0) / 3600 AS hours_lost
FROM attempts
WHERE study = coalesce($study, study)
GROUP BY study, dataset, method
ORDER BY study, dataset, method;
