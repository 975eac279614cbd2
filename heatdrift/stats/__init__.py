"""Statistics over runs: frames in, typed results out. NumPy and SciPy only; imports no torch.

``frame`` (which runs) -> ``design`` (columns, hypotheses) -> ``mixed`` (REML, ML) with ``satterthwaite`` and
``kenward_roger``, beside ``strata`` (the seed-level headline test) -> ``model`` -> ``contrasts``, ``checks``,
``findings`` -> ``interaction``. ``correlation`` stands on ``frame`` and ``cells`` (bootstrap and permutation of whole
cells); ``paired``, ``power`` and ``layers`` (its ``responses``) on ``clustered`` (seed-level t tests of many
responses), ``dose`` on ``trend``, ``predictors`` on ``signals``, ``signal_scores`` and ``ranking``, ``frontier`` on
``matching``. ``caveats`` says of all what a reader must know about how the runs were selected.
"""

from heatdrift.stats.correlation import correlation
from heatdrift.stats.dose import dose
from heatdrift.stats.frontier import frontier
from heatdrift.stats.interaction import interaction
from heatdrift.stats.layers import layers
from heatdrift.stats.paired import paired
from heatdrift.stats.power import power
from heatdrift.stats.predictors import predictors

__all__ = ["correlation", "dose", "frontier", "interaction", "layers", "paired", "power", "predictors"]
