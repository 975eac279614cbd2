-- question: were all runs of a study made by the same code, packages and hardware?
-- grain: one row per study and distinct combination of commit, changes, packages, device and precision
-- units: counts of runs; wall time in seconds
-- param study = null: one study; null = all
SELECT
  study,
  origin,
  "commit",
  dirty,
  python,
  packages,
  device,
  precision,
  threads,
  count(*) AS n_runs,
  avg(wall_s) AS wall_s_mean,
  min(started_at) AS first_start,
  max(finished_at) AS last_end
FROM runs
WHERE study = coalesce($study, study)
GROUP BY ALL
ORDER BY study, n_runs DESC, origin, "commit", packages, device, precision, threads;
