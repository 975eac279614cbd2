-- question: which cells are not beaten in both test accuracy and retention by another cell of the same data set?
-- grain: one row per study, data set, method and learning rate
-- units: accuracy in %, retention in % of base; means over seeds
-- param study = null: one study; null = all
SELECT
  c.study,
  c.dataset,
  c.method,
  c.lr,
  c.n_seeds,
  c.test_acc_pct_mean,
  c.retention_pct_mean,
  NOT EXISTS (
    FROM cells AS better
    WHERE better.study = c.study AND better.backbone = c.backbone AND better.dataset = c.dataset
      AND better.test_acc_pct_mean >= c.test_acc_pct_mean AND better.retention_pct_mean >= c.retention_pct_mean
      AND (better.test_acc_pct_mean > c.test_acc_pct_mean OR better.retention_pct_mean > c.retention_pct_mean)
  ) AS on_frontier
FROM cells AS c
WHERE c.study = coalesce($study, c.study)
ORDER BY c.study, c.dataset, c.test_acc_pct_mean DESC, c.method, c.lr;
