"""Interaction models on a page: contrasts, tests with df by three methods, checks, components, coefficients."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from heatdrift import wording
from heatdrift.questions.interaction.contrast_blocks import contrast_figure, contrast_table, means_table, model_command
from heatdrift.questions.interaction.result import InteractionResult, TermTest
from heatdrift.report.blocks import Block, Facts, Finding, Note, Table
from heatdrift.report.inputs import ReportInput
from heatdrift.report.result_notes import in_words
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import text_table

DDF_WORDS: Final = {
    "strata": "seed-level F",
    "satterthwaite": "Satterthwaite F",
    "kenward_roger": "Kenward–Roger F",
}
SINGULAR: Final = (
    "The fit is singular: a variance component is estimated as zero. "
    "The seed-level test does not depend on that component."
)


def blocks(answers: Sequence[InteractionResult], inp: ReportInput, data: StudyData) -> list[Block]:
    """Return every model, one after the other."""
    found: list[Block] = []
    for i, result in enumerate(answers, start=1):
        found += _model(result, data, f"fig-contrasts-{i}")
    return found


def headlines(answers: Sequence[InteractionResult], data: StudyData) -> list[Finding]:
    """Return what each model supports and, next to it, the checks that were flagged."""
    return [_headline(result, data) for result in answers]


def _headline(result: InteractionResult, data: StudyData) -> Finding:
    caveats = line_caveats(result)
    caveats += result.caveats
    caveats += [check.sentence for check in result.checks if check.flag and check.name != "singular"]
    caveats += singular_caveats(result)
    if result.left_out:
        caveats.append(f"Left out of the model: {wording.listed(list(result.left_out))}.")
    if result.n_dropped:
        caveats.append(f"{wording.counted(result.n_dropped, 'run')} left out for want of a value.")
    title = wording.capital(data.metric_title(result.metric))
    texts = data.family.sentences(result) or (_nothing_supported(result),)
    return Finding(title=title, sentences=texts, descriptions=result.descriptions, notes=result.notes,
                   caveats=tuple(caveats), finding_id=f"finding-{result.metric}", section_id=f"model-{result.metric}",
                   command=model_command(result))  # fmt: skip


def _nothing_supported(result: InteractionResult) -> str:
    terms = [test for test in result.tests if test.method == "strata" and test.p == test.p]
    if not terms:
        return "No term has a seed-level test."
    size = f"{wording.counted(result.n_runs, 'run')}, {wording.counted(result.n_seeds, 'seed')}"
    return (
        f"Nothing beyond the primary questions is supported: of {wording.counted(len(terms), 'term')} no other holds "
        f"after adjusting over the page ({size}). With few seeds that is no proof of no effect."
    )


def singular_caveats(result: InteractionResult) -> list[str]:
    """Return what a singular fit means: the sentence of the check of that name, ours where there is none."""
    explained = [check.sentence for check in result.checks if check.name == "singular" and check.flag]
    return explained or ([SINGULAR] if result.singular else [])


def line_caveats(result: InteractionResult) -> list[str]:
    """Return what is assumed where the learning rate is not a factor."""
    if result.lr_as == "factor":
        return []
    curve = "straight line" if result.lr_as == "linear" else "quadratic"
    return [
        f"The learning rate enters as a {curve} in log10(lr) of its own for each method and data set: as a factor it "
        f"would need {result.n_cells:,} coefficients, one per cell. Differences averaged over learning rates need no "
        "such assumption where every cell has the same seeds; slopes, and differences at one learning rate, do: the "
        "check 'lack of fit' tests it."
    ]


def _model(result: InteractionResult, data: StudyData, figure_id: str) -> list[Block]:
    name = data.metric_title(result.metric)
    fit = Facts(
        title=f"Model of {name} ({result.unit})",
        anchor=f"model-{result.metric}",
        pairs=(
            (
                "formula",
                f"{result.formula} + {result.random_terms}"
                if result.random_terms not in result.formula
                else result.formula,
            ),
            ("n", f"{wording.counted(result.n_runs, 'run')}, {wording.counted(result.n_seeds, 'seed')}"),
            ("learning rate as", result.lr_as),
            ("REML log-likelihood", wording.number(result.reml_loglik, 6)),
            ("ML log-likelihood", wording.number(result.ml_loglik, 6)),
            ("ICC", f"{wording.number(result.icc)} {_icc_interval(result)}".strip()),
            ("R² marginal", wording.number(result.r2_marginal)),
            ("R² conditional", wording.number(result.r2_conditional)),
            ("singular", "yes" if result.singular else "no"),
        ),
    )
    blocks: list[Block] = [fit, *contrast_figure(result, data, figure_id), _tests(result, name), *_checks(result, name)]
    blocks += in_words(data.family, [result], result.metric)
    blocks[1:1] = [Note(text=text, tone="caveat") for text in (*line_caveats(result), *singular_caveats(result))]
    if result.method_effects:
        caption = f"Difference of {name} between methods, averaged over learning rates and data sets, seed-level test"
        blocks.append(contrast_table(result, result.method_effects, caption))
    if result.marginal_means:
        blocks.append(means_table(result, name))
    components = [
        (c.group, wording.number(c.variance), wording.number(c.sd), wording.interval(c.ci_low, c.ci_high))
        for c in result.random
    ]
    heads: tuple[str, ...] = ("group", f"variance ({result.unit})²", "SD", "interval of the variance")
    blocks.append(_folded(text_table(f"Variance components of {name}", heads, components)))
    if result.variance_tests:
        tests = [
            (v.group, str(v.n_groups), wording.number(v.rlrt), wording.p_value(v.p), wording.p_value(v.p_mixture))
            for v in result.variance_tests
        ]
        caption = f"Is a variance of {name} zero? Restricted likelihood-ratio tests; no licence to leave the seed out"
        heads = ("group", "n", "RLRT", "p", "p (50:50 mixture)")
        blocks.append(_folded(text_table(caption, heads, tests)))
    if result.likelihood_ratio:
        caption = f"Likelihood-ratio tests of {name} (ML, χ²), for comparison"
        ratios = [(r.term, wording.number(r.chi2), str(r.df), wording.p_value(r.p)) for r in result.likelihood_ratio]
        blocks.append(_folded(text_table(caption, ("term", "χ²", "df", "p"), ratios)))
    fixed = [
        (
            f.term,
            wording.number(f.estimate),
            wording.number(f.se),
            wording.interval(f.ci_low, f.ci_high),
            wording.degrees(f.df),
            wording.number(f.t),
            wording.p_value(f.p),
        )
        for f in result.fixed
    ]
    level = f"{wording.percent(result.conf_level)} interval"
    heads = ("coefficient", f"estimate ({result.unit})", "SE", level, "df (Satterthwaite)", "t", "p")
    caption = f"Fixed effects of {name} (treatment coding)"
    command = model_command(result)
    blocks.append(_folded(text_table(caption, heads, fixed, command=command, p=[f.p for f in result.fixed])))
    return blocks


def _icc_interval(result: InteractionResult) -> str:
    text = wording.interval(result.icc_ci_low, result.icc_ci_high)
    return "" if text == wording.NOT_MEASURED else text


def _folded(table: Table) -> Table:
    """Fold a table that most readers pass over; what the page rests on stays open."""
    return replace(table, folded=True)


def _tests(result: InteractionResult, name: str) -> Table:
    """Set the tests of each term side by side, the seed-level one, which is the headline, first."""
    heads, rows = ["term"], {test.term: [test.term] for test in result.tests}
    for ddf, words in DDF_WORDS.items():
        tests = {test.term: test for test in result.tests if test.method == ddf}
        columns: dict[str, dict[str, str]] = {
            words: {term: _f_text(test) for term, test in tests.items()},
            "p": {term: wording.p_value(test.p) for term, test in tests.items()},
        }
        for head, field in (("Box p", "p_box"), ("Greenhouse–Geisser p", "p_gg")):
            if any(getattr(test, field) is not None for test in tests.values()):
                columns[head] = {term: wording.p_value(getattr(test, field)) for term, test in tests.items()}
        heads += columns
        for term, row in rows.items():
            row += [texts.get(term, wording.NOT_MEASURED) for texts in columns.values()]
    caption = (
        f"Tests of {name}, type III. The seed-level test (error strata) is the headline, those of the model next to it."
    )
    if "Box p" in heads:
        caption += " Box p is what a finding rests on: corrected for variances that differ between levels."
    if "Greenhouse–Geisser p" in heads:
        caption += " Greenhouse and Geisser correct for unequal variances of the differences."
    return text_table(caption, heads, list(rows.values()))


def _f_text(test: TermTest) -> str:
    """Return `F(3, 12) = 18.1`."""
    return wording.f_text(test.df_num, test.df_den, test.f)


def _checks(result: InteractionResult, name: str) -> list[Table]:
    """Return what each check says, those to look at first, and their numbers folded."""
    ordered = sorted(result.checks, key=lambda check: not check.flag)
    rows = [("look" if check.flag else "passed", check.name.replace("_", " "), check.sentence) for check in ordered]
    numbers = [
        (check.name.replace("_", " "), key.replace("_", " "), _value(key, value))
        for check in ordered
        for key, value in check.values.items()
        if value != ""
    ]
    return [
        text_table(f"Checks of the model of {name}", ("verdict", "check", "what it says"), rows, text_columns=3),
        _folded(
            text_table(
                f"Numbers of the checks of {name}",
                ("check", "quantity", "value"),
                numbers,
                text_columns=2,
                command=model_command(result),
            )
        ),
    ]


def _value(key: str, value: float | int | str | None) -> str:
    if isinstance(value, float):
        return wording.p_value(value) if key == "p" or key.endswith("_p") else wording.number(value)
    return wording.NOT_MEASURED if value is None else str(value)
