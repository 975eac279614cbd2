"""heatdrift: statistics and reporting over a store of CLIP fine-tuning runs.

The package is a pipeline, one sub-package per stage, in the order of the data flow:
``plan`` -> ``data`` -> ``model`` -> ``train`` -> ``probes`` -> ``store`` -> ``stats`` -> ``report``.
A stage imports the top-level modules (``records``, ``results``, ``metrics``, ``methods``, ``errors``, ``config``,
``provenance``) and itself, never a sibling; stages meet in ``train`` and in ``cli`` only.
"""

from importlib.metadata import version

__version__ = version("heatdrift")
__all__ = ["__version__"]
