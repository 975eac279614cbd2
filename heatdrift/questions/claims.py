"""What an answer claims: tested statements with their p, and what a list of many of them opens with.

A claim is made for every test, supported or not, because how many tests there were decides what may be said. Which
claims become sentences is decided elsewhere: by a command within its own answer, by a page over all of its answers
(``family.py``).
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from heatdrift.questions.answer import Result

MANY: Final = 24  # sentences of one result that are given in the order of its rows
_ALL: Final = "all"


class Claim(Result, frozen=True, kw_only=True):
    """One test and its words.

    Attributes
    ----------
    key : what was tested, unique on a page: question, metric, and what of it, `interaction/retention_pct/method`.
    hypothesis : what the test is about, whichever question asks it (`about_methods`); empty = no other asks it. Of the
        claims about one hypothesis a page counts the first.
    p : not adjusted, in [0, 1]; NaN where these runs have no such test. Where a sentence needs several tests to agree,
        the largest.
    asks : what was asked, without an answer: `Method on retention, averaged over 4 learning rates`.
    says : the same as a statement about these runs, true if the test is believed.
    measured : the estimate in words: `difference +3.1 points`; empty where there is none in one line.
    evidence : interval, statistic and numbers of runs and seeds, as they stand in brackets.
    warning : what follows the brackets, from its first comma or stop on, without the last stop.
    leaves_out : methods that these runs have and that the test leaves out.
    """

    key: str
    p: float
    asks: str
    says: str
    measured: str
    evidence: tuple[str, ...]
    warning: str = ""
    leaves_out: tuple[str, ...] = ()
    hypothesis: str = ""

    def sentence(self, adjusted: str = "") -> str:
        """Return the statement, with what `adjusted` says about other tests at the end of the evidence."""
        return self._told(self.says, adjusted)

    def without_claim(self, verdict: str = "not supported", adjusted: str = "") -> str:
        """Return what was asked and measured, with `verdict` in place of the statement."""
        return self._told(f"{self.asks}: {verdict}", adjusted)

    def _told(self, opening: str, adjusted: str) -> str:
        parts = [*self.evidence, *([adjusted] if adjusted else [])]
        measured = f": {self.measured}" if self.measured else ""
        return f"{opening}{measured}" + (f" ({'; '.join(parts)})" if parts else "") + f"{self.warning}."


def place_key(dataset: str | None) -> str:
    """Return a data set as keys name it: `all` for all of them, so that a data set of that name is `=all`."""
    if dataset is None:
        return _ALL
    name = quote(dataset, safe="=+@, ")
    return f"={name}" if name in {_ALL, "equivalent", "not_inferior"} or name.startswith("=") else name


def about_methods(metric: str, dataset: str | None, method_a: str, method_b: str) -> str:
    """Return the hypothesis that two methods do not differ in a metric, at learning rates that both have."""
    return f"methods/{metric}/{place_key(dataset)}/{'-'.join(sorted((method_a, method_b)))}"


def about_base(metric: str, dataset: str | None, method: str) -> str:
    """Return the hypothesis that a method keeps exactly the zero-shot accuracy of its base (`metric`: retention)."""
    return f"base/{metric}/{place_key(dataset)}/{method}"


def ranked(found: Sequence[tuple[tuple[float, ...], str]], summary: str) -> list[str]:
    """Return the sentences in their own order; if they are more than MANY, `summary` and then the strongest first.

    Parameters
    ----------
    found : (strength, sentence) of every claim; the smaller the strength, a p-value for instance, the stronger.
    summary : how many of how many tests are supported, after which adjustment.
    """
    if len(found) <= MANY:
        return [sentence for _, sentence in found]
    return [f"{summary} Strongest first.", *(sentence for _, sentence in sorted(found, key=lambda claim: claim[0]))]
