"""The lab: a procedurally drawn image world with compositional captions, labelled sets and nothing to download."""

from heatdrift.data.lab.captions import pretraining_texts
from heatdrift.data.lab.pretraining import draw_pretraining_batch
from heatdrift.data.lab.sets import SETS, WORLD_VERSION, LabSet, draw_set, set_sha256, set_spec

__all__ = [
    "SETS",
    "WORLD_VERSION",
    "LabSet",
    "draw_pretraining_batch",
    "draw_set",
    "pretraining_texts",
    "set_sha256",
    "set_spec",
]
