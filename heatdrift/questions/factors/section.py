"""The model of all factors on a page: which there are, what each does, the tests and means, and what limits them."""

from collections.abc import Sequence
from typing import Final

from heatdrift.questions.factors import QUESTION
from heatdrift.questions.factors.result import FactorsResult
from heatdrift.questions.model.section import model_blocks
from heatdrift.report.blocks import Block, Finding, Note, Table
from heatdrift.report.inputs import ReportInput
from heatdrift.report.result_notes import headlines_of, in_words, result_notes
from heatdrift.report.study_data import StudyData
from heatdrift.report.tables import text_table

COMMAND: Final = QUESTION.command


def blocks(answers: Sequence[FactorsResult], inp: ReportInput, data: StudyData) -> list[Block]:
    """Return the factors, their effects with intervals, tests, means, caveats, and where the sentences are."""
    found: list[Block] = []
    for result in answers:
        how = f"Formula: {result.formula}." + (f" It is the default: {result.why}." if result.why else "")
        found += [_factors(result), Note(text=how), *model_blocks(result, data, "fig-factors")]
        found += [Note(text=text, tone="caveat") for text in result.caveats]
        found += [*in_words(data.family, [result], "factors"), *result_notes(result.left_out)]
    return found


def headlines(answers: Sequence[FactorsResult], data: StudyData) -> list[Finding]:
    """Return the factors on which the response depends."""
    return headlines_of("Factors of these runs", "factors", answers, COMMAND, data.family)


def _factors(result: FactorsResult) -> Table:
    rows = [
        (one.factor, "the table's own" if one.own else "every study's",
         ", ".join(f"{level} ({n})" for level, n in zip(one.levels, one.n, strict=True)))
        for one in result.factors
    ]  # fmt: skip
    return text_table(
        "Factors that vary, with the finished runs of each level", ("factor", "whose", "levels (n)"), rows,
        text_columns=3, command=f"{COMMAND} --format json",
    )  # fmt: skip
