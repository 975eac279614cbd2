-- Schema 5: the number of classes of a transfer set, from which chance follows, and what an import did with several
-- results of one cell and seed. Both are in records that were read before only where the next ingest reads them again.

ALTER TABLE raw.transfer ADD COLUMN n_classes INTEGER;   -- NULL = not known
ALTER TABLE raw.run ADD COLUMN duplicate_rows INTEGER;   -- how often the source held the run with different results
ALTER TABLE raw.run ADD COLUMN duplicates VARCHAR;       -- first, last or mean of them is what this run holds
ALTER TABLE raw.run ADD COLUMN n_results BIGINT;         -- of a bulk part: NULL where its attempts are here to be counted

UPDATE raw.run SET record_sha256 = 'before schema 5: ' || study || '/' || cell_id WHERE part IS NULL;

-- Above chance, with Fieller's 95 % interval from both binomial errors, taken as independent (heatdrift/chance.py). NULL
-- where the base's own 95 % interval includes chance: exactly there the interval of the ratio is unbounded.
CREATE VIEW raw.transfer_result AS
WITH measured AS (
  SELECT
    t.*,
    100.0 / nullif(t.n_classes, 0) AS chance_pct,
    t.base_pct * (100 - t.base_pct) / t.n_images AS var_base,
    t.adapted_pct * (100 - t.adapted_pct) / t.n_images AS var_adapted
  FROM raw.transfer AS t
),
clear AS (
  SELECT
    *,
    CASE WHEN base_pct - 1.959963984540054 * sqrt(var_base) > chance_pct THEN base_pct - chance_pct END AS over
  FROM measured
),
ratio AS (
  SELECT
    *,
    (adapted_pct - chance_pct) / over AS kept,
    1 - pow(1.959963984540054, 2) * var_base / pow(over, 2) AS rest  -- 1 - g of Fieller
  FROM clear
),
fieller AS (
  SELECT
    *,
    1.959963984540054 / (over * rest) * sqrt(var_adapted * rest + pow(kept, 2) * var_base) AS half
  FROM ratio
)
SELECT
  run_id,
  transfer_set,
  n_images,
  base_pct,
  adapted_pct,
  n_classes,
  chance_pct,
  100 * kept AS retention_above_chance_pct,
  100 * (kept / rest - half) AS retention_above_chance_low_pct,
  100 * (kept / rest + half) AS retention_above_chance_high_pct
FROM fieller;

CREATE OR REPLACE VIEW transfer AS
SELECT
  r.study,
  r.cell_id,
  t.transfer_set,
  t.n_images,
  t.base_pct,
  t.adapted_pct,
  100 * t.adapted_pct / nullif(t.base_pct, 0) AS retention_pct,
  sqrt(t.base_pct * (100 - t.base_pct) / t.n_images) AS base_se_pct,
  sqrt(t.adapted_pct * (100 - t.adapted_pct) / t.n_images) AS adapted_se_pct,
  t.n_classes,
  t.chance_pct,
  t.retention_above_chance_pct,
  t.retention_above_chance_low_pct,
  t.retention_above_chance_high_pct
FROM raw.transfer_result AS t
JOIN raw.run AS r ON r.run_id = t.run_id;
