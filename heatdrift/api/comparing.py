"""compare: two studies over the cells that both have, as ``heatdrift compare``, from frames."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from heatdrift.errors import StatsError
from heatdrift.questions.argument_types import checked
from heatdrift.questions.compare.analysis import compare_studies
from heatdrift.questions.frames import Frame, as_view
from heatdrift.questions.selection import study_name

if TYPE_CHECKING:
    from heatdrift.questions.compare.result import StudyComparison


@checked
def compare(
    runs_a: Frame,
    runs_b: Frame,
    *,
    names: tuple[str, str] | None = None,
    metrics: Sequence[str] | None = None,
    conf_level: float = 0.95,
) -> "StudyComparison":
    """Compare two studies over the cells that both have: differences a - b, what differs, what one side lacks.

    Parameters
    ----------
    runs_a, runs_b : rows of the view ``runs``, each of one study, as a frame of any library.
    names : what the studies are called in the answer; None = as their rows say.
    metrics : result columns; None = the usual ones that both sides have.
    conf_level : of all intervals, in (0, 1).

    Raises
    ------
    UnknownNameError, StatsError
        Unknown metric; no name where both studies are called the same; no common cell; no finished run.

    Examples
    --------
    >>> import heatdrift
    >>> first = heatdrift.read_runs("mini", seed=[7, 11])
    >>> later = heatdrift.read_runs("mini", seed=[19, 42, 123])
    >>> answer = heatdrift.compare(first, later, names=("first", "later"), metrics=["retention_pct"])
    >>> answer.n_cells, answer.n_pairs
    (16, 0)
    """
    first, second = as_view(runs_a, "runs"), as_view(runs_b, "runs")
    if names is None:
        found = study_name(first), study_name(second)
        if found[0] is None or found[1] is None or found[0] == found[1]:
            raise StatsError(
                "the rows do not say what the two studies are called, or call both the same",
                hint='give names=("A", "B")',
            )
        names = found[0], found[1]
    return compare_studies(first, second, names=names, metrics=metrics, conf_level=conf_level)
