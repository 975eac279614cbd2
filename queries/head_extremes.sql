-- question: which attention heads change most?
-- grain: one row per study, data set, method, block and head, at the selected epoch
-- units: drift in % of base; mean and sd over runs
-- param study = null: one study; null = all
-- param metric = entropy: metric of the view heads
-- param n = 10: heads per study, data set and method
SELECT
  r.study,
  r.dataset,
  r.method,
  h.layer,
  h.head,
  count(h.delta_pct) AS n_runs,
  avg(h.delta_pct) AS delta_pct_mean,
  stddev_samp(h.delta_pct) AS delta_pct_sd
FROM heads AS h
JOIN runs AS r ON r.study = h.study AND r.cell_id = h.cell_id AND r.selected_epoch = h.epoch
WHERE r.status = 'done' AND h.metric = $metric AND r.study = coalesce($study, r.study)
GROUP BY r.study, r.dataset, r.method, h.layer, h.head
QUALIFY row_number() OVER (
  PARTITION BY r.study, r.dataset, r.method ORDER BY abs(avg(h.delta_pct)) DESC, h.layer, h.head
) <= $n
ORDER BY r.study, r.dataset, r.method, abs(avg(h.delta_pct)) DESC, h.layer, h.head;
