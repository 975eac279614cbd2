"""Measure what whole pages claim where nothing is true, and what they find where something is; write the page about it.

Run from the top of the repository: OMP_NUM_THREADS=1 python tests/calibration/calibrate_page.py --jobs 2
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from page_conditions import HELD_OUT, METHOD_EFFECT, SLOPE_EFFECT, TUNED, Condition, studies

from heatdrift.primary import PrimarySpec, QuestionsSpec
from heatdrift.questions.answer import ALPHA
from heatdrift.questions.asking import ask_all
from heatdrift.questions.family import page_family
from heatdrift.questions.interaction.analysis import interaction
from heatdrift.questions.interaction.build import build_model
from heatdrift.questions.selection import largest_block, select_runs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "calibration_page.md"
SEEDS = {"tuned": 20260501, "held out": 777_001, "power": 31}
FINDINGS_LIMIT, PAGE_LIMIT = 7.0, 10.0
FIRST = "first question"
COLUMNS = ("Findings", "exploratory", "either", "each answer by itself")


def page_claims(condition: Condition, draws: int, seed: int, adjust: str = "fixed_sequence") -> dict[str, float]:
    """Percent of null pages that claim something: under Findings, as exploratory, in either, and as pages did before.

    "Each answer by itself" counts pages on which any answer has a finding after its own adjustment.
    """
    hits = dict.fromkeys(COLUMNS, 0)
    for study in studies(condition, draws, seed):
        answers, reasons = ask_all(study)
        asked = QuestionsSpec(adjust=adjust)
        family = page_family(answers, reasons, asked, accuracy="test_acc_pct", own_grids=False)
        found, also = bool(family.findings), any(outcome.supported for outcome in family.exploratory)
        alone = any(answer.findings for of_question in answers.values() for answer in of_question)
        for column, hit in zip(COLUMNS, (found, also, found or also, alone), strict=True):
            hits[column] += hit
    return {column: 100.0 * n / draws for column, n in hits.items()}


def first_question(condition: Condition, draws: int, seed: int) -> float:
    """Percent of null studies in which the first primary question holds: in a fixed sequence all Findings need it."""
    hits = 0
    for study in studies(condition, draws, seed):
        block = largest_block(select_runs(study.runs, ["retention_pct"]))
        model = build_model(
            block, metric="retention_pct", lr_as="factor", random="seed", study_lrs=block.frame["lr"].unique().to_list()
        )
        hits += model.seed_test("method", model.design.hypotheses["method"]).p_box < ALPHA
    return 100.0 * hits / draws


def null_rates(condition: Condition, draws: int, first_draws: int, seed: int) -> dict[str, float]:
    """Rates of whole pages, and of the first question in more studies."""
    return {FIRST: first_question(condition, first_draws, seed + 1), **page_claims(condition, draws, seed)}


def page_power(condition: Condition, term: str, draws: int, seed: int) -> dict[str, float]:
    """Percent of pages that state the effect of `term` on retention: asked first, by its test, by Holm over terms."""
    asked = QuestionsSpec(primary=(PrimarySpec(metric="retention_pct", term=term),))
    stated = tested = before = 0
    for study in studies(condition, draws, seed):
        answer = interaction(study.runs, metric="retention_pct")
        family = page_family({"interaction": [answer]}, {}, asked, accuracy="test_acc_pct", own_grids=False)
        claim = next(c for c in answer.claims if c.key == f"interaction/retention_pct/{term}")
        stated += bool(family.findings)
        tested += claim.p < ALPHA
        before += any(claim.says in text for text in answer.findings)
    return {
        "asked first": 100.0 * stated / draws,
        "the test itself": 100.0 * tested / draws,
        "Holm over the terms of its model": 100.0 * before / draws,
    }


def _named(job: partial, condition: Condition) -> dict[str, float]:
    found = job(condition)
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {condition.name}: {found}\n")
    return found


def table(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Rows of Markdown, one per condition."""
    columns = list(next(iter(found.values())))
    lines = [f"| studies | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [f"| {name} | {' | '.join(f'{values[c]:.1f}' for c in columns)} |" for name, values in found.items()]
    return [*lines, ""]


def page(null: Mapping[str, Mapping[str, Mapping[str, float]]], power, given: argparse.Namespace) -> str:
    """The whole page."""
    draws, power_draws = given.draws, given.power_draws
    error, first_error = (100.0 * float(np.sqrt(0.05 * 0.95 / n)) for n in (draws, given.first_draws))

    def worst(column: str) -> str:
        return " and ".join(
            f"{max(values[column] for values in found.values()):.1f} % ({which})" for which, found in null.items()
        )

    def mean(column: str) -> str:
        return " and ".join(
            f"{np.mean([values[column] for values in found.values()]):.1f} % ({which})" for which, found in null.items()
        )

    lines = [
        "# What a page claims where nothing is true",
        "",
        "Generated by `OMP_NUM_THREADS=1 python tests/calibration/calibrate_page.py`; do not edit. Percent of whole "
        "pages, every question asked as",
        f"`heatdrift report` asks it. {draws} pages per row (a rate of 5 % has a standard error of {error:.1f}); the",
        f"first question is tested in {given.first_draws} studies more (standard error {first_error:.1f}), because in "
        "a fixed sequence nothing is a",
        "finding unless it holds. Findings: a primary question is claimed, in the",
        "built-in fixed sequence. Exploratory: any test of the page, by Benjamini-Hochberg at 2.5 %. Each",
        "answer by itself: any answer has a finding after its own adjustment, which is what pages showed before.",
        "",
        f"Largest rates: first question {worst(FIRST)}, either {worst('either')}.",
        f"Means: first question {mean(FIRST)}, Findings {mean('Findings')}, either {mean('either')}, each answer by "
        f"itself {mean('each answer by itself')}.",
        f"Goals: Findings at most {FINDINGS_LIMIT:g} %, either at most {PAGE_LIMIT:g} %.",
        "",
        "## Conditions on which the rules were chosen",
        "",
        *table(null["tuned"]),
        "## Conditions that were simulated only afterwards",
        "",
        *table(null["held out"]),
        "## What is found",
        "",
        f"An effect on retention in {power_draws} studies per row: asked first, its own test at 5 %, and Holm over",
        "the seven terms of its model, which was what a page stated before.",
        "",
        *table(power),
    ]
    return "\n".join(lines).rstrip() + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--first-draws", type=int, default=1500)
    parser.add_argument("--power-draws", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    given = parser.parse_args(argv)
    with ProcessPoolExecutor(given.jobs) as pool:
        null = {
            which: dict(zip((c.name for c in conditions), pool.map(
                partial(_named, partial(
                    null_rates, draws=given.draws, first_draws=given.first_draws, seed=SEEDS[which]
                )), conditions
            ), strict=True))
            for which, conditions in (("tuned", TUNED), ("held out", HELD_OUT))
        }  # fmt: skip
        power = {
            condition.name: found
            for term, conditions in (("method", METHOD_EFFECT), ("lr:method", SLOPE_EFFECT))
            for condition, found in zip(conditions, pool.map(
                partial(_named, partial(page_power, term=term, draws=given.power_draws, seed=SEEDS["power"])),
                conditions,
            ), strict=True)
        }  # fmt: skip
    PAGE.write_text(page(null, power, given))


if __name__ == "__main__":
    main()
