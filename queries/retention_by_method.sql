-- question: how much zero-shot accuracy does each method keep at each learning rate?
-- grain: one row per study, data set, method and learning rate
-- units: accuracies in %, retention in % of base; sd over seeds
-- param study = null: one study; null = all
SELECT
  study,
  dataset,
  method,
  lr,
  n_seeds,
  test_acc_pct_mean,
  zero_shot_base_pct_mean AS zero_shot_base_pct,
  zero_shot_pct_mean,
  retention_pct_mean,
  retention_pct_sd
FROM cells
WHERE study = coalesce($study, study)
ORDER BY study, dataset, method, lr;
