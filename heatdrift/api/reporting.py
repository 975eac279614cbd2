"""render_report: the page of a study, in any of its formats, from Python."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from heatdrift.api.store import store_file
from heatdrift.cli.workspace import Workspace
from heatdrift.metrics import run_column
from heatdrift.questions.argument_types import checked
from heatdrift.questions.selection import check_level

if TYPE_CHECKING:
    from heatdrift.api.store import Store

_LOG: Final = logging.getLogger(__name__)


@checked
def render_report(
    study: str | None = None,
    out: str | Path = "reports",
    *,
    store: "Store | str | Path | None" = None,
    formats: Sequence[str] = ("html",),
    template: str = "full",
    section: str | None = None,
    metrics: Sequence[str] = (),
    conf_level: float = 0.95,
    backbone: str | None = None,
    factors: Sequence[str] = (),
    images: bool = False,
    data_dir: str | Path | None = None,
) -> tuple[Path, ...]:
    """Write the page of a study and return the paths of its files, one for each format.

    Parameters
    ----------
    study, store : as in `read_runs`.
    out : a folder, which gets STUDY.html, or a file name that ends in a format. ``index.html`` is no page's name.
    formats : html, md, pdf (needs Chromium), tex.
    template, section : how much of the page (full, paper, talk), or one section alone by its id.
    metrics : result columns to model; empty = the usual ones.
    conf_level : of all intervals, in (0, 1).
    backbone, factors : only runs of this backbone and these levels of own factors, as ``["rank=4"]``.
    images, data_dir : whether to show photographs of the probe images, and the folder where the images lie.

    Raises
    ------
    StoreError, UnknownNameError
        As in `read_runs`; a format, template, section or metric that there is not.
    ReportError
        The file cannot be written; PDF without a browser.

    Examples
    --------
    >>> import heatdrift, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (page,) = heatdrift.render_report("mini", folder, formats=["md"], section="frontier")
    ...     page.name, page.read_text(encoding="utf-8").splitlines()[0]
    ('mini.md', '# mini')
    """
    from heatdrift.cli.report import chosen_formats, target_file
    from heatdrift.cli.report_input import gather
    from heatdrift.report.formats import FORMATS
    from heatdrift.report.page import report_document
    from heatdrift.report.templates import check_template, one_section, templated
    from heatdrift.store.ingest import open_current

    check_level(conf_level)
    check_template(template)
    for name in metrics:
        run_column(name)
    target_name = Path(out)
    named = target_name.suffix.removeprefix(".").lower() in FORMATS
    wanted = chosen_formats(",".join(formats), html=False, out=target_name if named else None)
    work = Workspace.of(store_file(study, store))
    with open_current(work.store) as connection:
        chosen = work.stored_study(connection, study)
        target = target_file(target_name, chosen)
        page = gather(
            connection,
            chosen,
            work,
            tuple(metrics),
            conf_level,
            images=images,
            data_dir=Path(data_dir) if data_dir is not None else None,
            option=study,
            backbone=backbone,
            factors=tuple(factors),
            note=_LOG.info,
        )
    document = templated(report_document(page), template)
    document = document if section is None else one_section(document, section)
    written = []
    for name in wanted:
        path = target.with_name(f"{target.name}.{name}")
        for text in FORMATS[name].write(document, path, {}):
            _LOG.info(text)
        written.append(path)
    return tuple(written)
