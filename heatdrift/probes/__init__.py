"""Stage 5: measurements of a model against its base; names, units and definitions are in ``heatdrift.metrics``."""
