"""METHODS: what each fine-tuning method trains. A family of methods is one file of ``families/``.

Torch-free: the plan hashes a method's parameters into the cell id, reports describe them; only what a family does to a
tower needs torch.
"""

from heatdrift.methods.base import Description, Family
from heatdrift.methods.own import own_titles, study_methods
from heatdrift.methods.registry import BUILT_IN, FAMILIES, METHOD_TITLES, METHODS, family_of, known_family, method
from heatdrift.methods.stored import LoraConfig, Method, stored_method
from heatdrift.methods.titles import all_titles, method_title, use_titles

__all__ = [
    "BUILT_IN",
    "FAMILIES",
    "METHODS",
    "METHOD_TITLES",
    "Description",
    "Family",
    "LoraConfig",
    "Method",
    "all_titles",
    "family_of",
    "known_family",
    "method",
    "method_title",
    "own_titles",
    "stored_method",
    "study_methods",
    "use_titles",
]
