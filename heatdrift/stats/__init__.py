"""Statistics over runs: frames in, typed results out. NumPy and SciPy only; imports no torch.

``frame`` (which runs) -> ``design`` (columns, hypotheses) -> ``mixed`` (REML, ML) with ``satterthwaite`` and
``kenward_roger``, beside ``strata`` (the seed-level headline test) -> ``model`` -> ``contrasts``, ``checks``,
``findings`` -> ``interaction``. ``correlation`` stands on ``frame`` and ``cells`` (bootstrap and permutation of whole
cells).
"""

from heatdrift.stats.correlation import correlation
from heatdrift.stats.interaction import interaction

__all__ = ["correlation", "interaction"]
