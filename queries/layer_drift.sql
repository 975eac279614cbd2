-- question: in which blocks does attention change, by method and learning rate?
-- grain: one row per study, data set, method, learning rate and block, at the selected epoch
-- units: drift in % of base; mean and sd over seeds
-- param study = null: one study; null = all
-- param metric = entropy: metric of the view layers that has a base value
SELECT
  r.study,
  r.dataset,
  r.method,
  r.lr,
  l.layer,
  count(l.delta_pct) AS n_runs,
  avg(l.delta_pct) AS delta_pct_mean,
  stddev_samp(l.delta_pct) AS delta_pct_sd
FROM layers AS l
JOIN runs AS r ON r.study = l.study AND r.cell_id = l.cell_id AND r.selected_epoch = l.epoch
WHERE r.status = 'done' AND l.metric = $metric AND r.study = coalesce($study, r.study)
GROUP BY r.study, r.dataset, r.method, r.lr, l.layer
ORDER BY r.study, r.dataset, r.method, r.lr, l.layer;
