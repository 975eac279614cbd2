-- question: which runs failed or diverged, and why?
-- grain: one row per run that is not done
-- units: wall time in seconds
-- param study = null: one study; null = all
SELECT study, dataset, method, lr, seed, status, error, attempt, last_epoch, wall_s, host, finished_at, cell_id
FROM runs
WHERE status <> 'done' AND study = coalesce($study, study)
ORDER BY study, dataset, method, lr, seed;
