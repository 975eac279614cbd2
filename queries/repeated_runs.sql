-- question: which cells were run more than once, and did the finished attempts agree?
-- grain: one row per cell with more than one attempt
-- units: accuracies in %; counts of attempts
-- param study = null: one study; null = all
SELECT
  study,
  dataset,
  method,
  lr,
  seed,
  count(*) AS n_attempts,
  count(*) FILTER (WHERE status = 'done') AS n_done,
  count(DISTINCT result_sha256) FILTER (WHERE status = 'done') AS n_different_results,
  min(test_acc_pct) AS test_acc_pct_min,
  max(test_acc_pct) AS test_acc_pct_max,
  max(attempt) FILTER (WHERE current) AS current_attempt,
  cell_id
FROM attempts
WHERE study = coalesce($study, study)
GROUP BY study, dataset, method, lr, seed, cell_id
HAVING count(*) > 1
ORDER BY n_different_results DESC, study, dataset, method, lr, seed, cell_id;
