"""stats factors: what every factor of the runs does, a table's own ones among them, in one mixed model."""

from collections.abc import Iterator
from functools import partial

import polars as pl
from msgspec.structs import asdict

from heatdrift.accuracy import finished
from heatdrift.errors import StatsError
from heatdrift.own_factors import COLUMN, factor_columns, varying, with_own_factors
from heatdrift.questions.base import Attempt, StudyRuns
from heatdrift.questions.caveats import run_caveats
from heatdrift.questions.factors.findings import factor_claims
from heatdrift.questions.factors.result import FactorLevels, FactorsResult
from heatdrift.questions.frames import AnyFrames
from heatdrift.questions.model.analysis import fit_model
from heatdrift.questions.model.default import default_model
from heatdrift.questions.selection import study_name
from heatdrift.wording import counted, listed

_ADDITIVE = (
    "Each effect is taken to be the same at all levels of the other factors: a factor that helps one method and harms "
    "another shows little here. heatdrift stats model --formula asks for interactions."
)


@AnyFrames("runs")
def factors(
    runs: pl.DataFrame, *, metric: str | None = None, formula: str | None = None, conf_level: float = 0.95
) -> FactorsResult:
    """Fit a mixed model of every factor that varies among the runs, and test each.

    Parameters
    ----------
    runs : rows of the view ``runs`` of one study; its own factors are in the column ``factors`` (JSON).
    metric : result column of runs; None = the accuracy that they have.
    formula : as lme4 writes it, with the names of own factors; None = each factor that varies by itself, seeds as
        random intercepts. A factor that the others determine is left out, by name.
    conf_level : of all intervals, in (0, 1).

    Raises
    ------
    StatsError
        Nothing varies, several studies, or the rows cannot answer. UnknownNameError: a column that there is not.

    Examples
    --------
    >>> import heatdrift
    >>> answer = heatdrift.factors(heatdrift.read_runs("mini"), metric="test_acc_pct")
    >>> answer.formula
    'test_acc_pct ~ dataset + method + C(lr) + (1 | seed)'
    """
    if study_name(runs) is None and "study" in runs.columns and runs["study"].n_unique() > 1:
        raise StatsError("the runs are of several studies, which are not pooled", hint="choose one with --study")
    done = finished(runs)
    unfinished = runs.height - done.height
    model = default_model(runs, metric)
    fit = fit_model(model.frame, formula or model.formula, conf_level=conf_level)
    response = fit.response
    held = [name for name in varying(done) if formula and name not in formula]
    own = factor_columns(done).columns
    caveats = list(run_caveats(runs.drop(COLUMN, strict=False), [response] if response in runs.columns else []))
    caveats += [f"Left out of the formula: {text}." for text in model.left_out] if formula is None else []
    caveats += [_ADDITIVE] if ":" not in "".join(test.term for test in fit.tests) else []
    caveats += [f"The formula averages over {listed(held)}, which vary among these runs."] if held else []
    caveats += [check.sentence for check in fit.checks if check.flag]
    columns = model.factors if formula is None else {n: () for n in (*model.factors, *own) if n in formula}
    return FactorsResult(
        **{
            **{name: value for name, value in asdict(fit).items() if name != "study"},
            "claims": factor_claims(fit.claims),
            "caveats": tuple(caveats),
            "left_out": (
                *_unfinished(runs),
                *fit.left_out,
            ),
            "n_dropped": fit.n_dropped + unfinished,
        },
        study=study_name(runs),
        n_runs=done.height,
        why=model.why if formula is None else "",
        factors=tuple(_levels(with_own_factors(done), name, own=name in model.own) for name in columns),
    )


def _unfinished(runs: pl.DataFrame) -> list[str]:
    counts = runs.filter(pl.col("status") != "done").group_by("status").len().sort("status")
    return [f"{counted(n, 'run')} with status {status}" for status, n in counts.iter_rows()]


def _levels(frame: pl.DataFrame, name: str, *, own: bool) -> FactorLevels:
    counts = frame.group_by(name).len().drop_nulls().sort(name)
    return FactorLevels(factor=name, own=own, levels=tuple(map(str, counts[name])), n=tuple(counts["len"]))


def for_page(study: StudyRuns) -> Iterator[Attempt]:
    """Yield the model where runs differ in what no other question names: own factors, or backbones."""
    done = finished(study.runs)
    if varying(done) or done["backbone"].drop_nulls().n_unique() > 1:
        yield "factors of these runs", partial(_on_page, study)


def _on_page(study: StudyRuns) -> FactorsResult:
    return factors(study.runs, conf_level=study.conf_level)
