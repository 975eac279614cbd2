-- question: did the adapters of every run take part in the measurement, and is the model without them the base?
-- grain: one row per run that has adapters
-- units: largest absolute difference of the tower's output to base
-- param study = null: one study; null = all
SELECT
  study,
  dataset,
  method,
  lr,
  seed,
  adapter_live_max_diff,
  adapter_off_max_diff,
  (adapter_live_max_diff > 0 OR lr = 0) AND adapter_off_max_diff <= 1e-5 AS passed
FROM runs
WHERE adapter_live_max_diff IS NOT NULL AND study = coalesce($study, study)
ORDER BY passed, study, dataset, method, lr, seed;
