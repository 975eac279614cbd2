-- Schema 8: settings that an imported table has besides ours, such as rank or augmentation, under their own names.

ALTER TABLE raw.run ADD COLUMN factors VARCHAR;   -- JSON: name -> level; NULL = none
