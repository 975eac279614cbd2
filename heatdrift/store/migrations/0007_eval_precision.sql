-- Schema 7: the arithmetic of evaluation. Runs from before it could be chosen were measured in float32, which their
-- records do not say; heatdrift itself measured these.

ALTER TABLE raw.run ADD COLUMN eval_precision VARCHAR;   -- NULL = not known (imported)
UPDATE raw.run SET eval_precision = 'float32' WHERE origin = 'heatdrift';
