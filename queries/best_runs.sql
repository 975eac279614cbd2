-- question: which learning rate does validation accuracy choose for each method, and what does it cost in retention?
-- grain: one row per study, data set and method: the learning rate of highest mean validation accuracy
-- units: accuracies in %, retention and drift in % of base
-- param study = null: one study; null = all
SELECT
  study,
  dataset,
  method,
  lr,
  n_seeds,
  val_acc_pct_mean,
  test_acc_pct_mean,
  test_acc_pct_sd,
  retention_pct_mean,
  delta_entropy_pct_mean
FROM cells
WHERE study = coalesce($study, study)
QUALIFY row_number() OVER (PARTITION BY study, dataset, method ORDER BY val_acc_pct_mean DESC, lr) = 1
ORDER BY study, dataset, method;
