"""ask_all: every question that has a place on a page, as ``heatdrift stats all``."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from heatdrift.api.store import store_file
from heatdrift.cli.runs import Selection, study_rows
from heatdrift.questions.argument_types import checked
from heatdrift.questions.selection import check_level

if TYPE_CHECKING:
    from heatdrift.api.store import Store
    from heatdrift.questions.all_result import AllResult

_LOG: Final = logging.getLogger(__name__)


@checked
def ask_all(
    study: str | None = None,
    *,
    store: "Store | str | Path | None" = None,
    backbone: str | None = None,
    dataset: Sequence[str] = (),
    method: Sequence[str] = (),
    lr: Sequence[float] = (),
    seed: Sequence[int] = (),
    transfer: str | None = None,
    conf_level: float = 0.95,
) -> "AllResult":
    """Ask a study everything that its page asks: its primary questions first, then all tests with one adjustment.

    Parameters
    ----------
    study, store, backbone, dataset, method, lr, seed, transfer : which runs, as in `read_runs`.
    conf_level : of all intervals, in (0, 1).

    Raises
    ------
    StoreError, UnknownNameError
        As in `read_runs`. What the runs cannot answer is no error: ``left_out`` says why.

    Examples
    --------
    >>> import heatdrift
    >>> answer = heatdrift.ask_all("mini", dataset=["pets"])
    >>> answer.n_runs, answer.primary[0].verdict
    (40, 'supported')
    """
    from heatdrift.questions.asking import all_results

    check_level(conf_level)
    chosen = Selection(
        study=study,
        backbone=backbone,
        dataset=dataset,
        method=method,
        lr=lr,
        seed=seed,
        transfer=transfer,
        store=store_file(study, store),
    )
    return all_results(study_rows(chosen, conf_level=conf_level, note=_LOG.info))
