"""What may be asked of the runs of a study: a folder for each question, found by looking.

``QUESTIONS`` is the registry that commands and page loop over. A new question is a new folder: nothing else lists it.
No question imports another; what they share is next to them (``base``, ``options``, ``tables``, ``selection``,
``pairs``, ``caveats``, ``claims``, ``margins``, ``page_choices``). Comparing two studies (``compare``) has the same
files, but a command of its own.
"""

from importlib import import_module
from pathlib import Path
from typing import Final

from heatdrift.questions.base import Question


def _found() -> tuple[Question, ...]:
    folders = sorted(path.parent.name for path in Path(__file__).parent.glob("*/__init__.py"))
    modules = [import_module(f"{__name__}.{name}") for name in folders]
    declared = [module.QUESTION for module in modules if hasattr(module, "QUESTION")]
    return tuple(sorted(declared, key=lambda question: question.order))


QUESTIONS: Final[tuple[Question, ...]] = _found()
