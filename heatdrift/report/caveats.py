"""What limits the findings: how epochs were selected, singular fits, unfinished cells, one seed."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from heatdrift import wording
from heatdrift.accuracy import ACCURACIES, selection_splits
from heatdrift.questions.interaction.result import InteractionResult
from heatdrift.report.inputs import ReportInput

# How the epoch was chosen at which a run is read; a reader must know it before reading an accuracy.
SELECTION: Final = {
    "test": "Epochs were selected on the provided test split, as in the published study: the accuracies are those "
    "of the split that selected them and are optimistic.",
    "val": "Epochs were selected on a validation split; the test split was read once, at the selected epoch.",
}
ON_TEST: Final = "The accuracy is that of the test split, which also selected the epoch: it is optimistic."
SINGULAR: Final = (
    "The fit is singular: a variance component is estimated as zero. "
    "The seed-level test does not depend on that component."
)


def selection_sentences(inp: ReportInput) -> list[str]:
    """Return on which splits the epochs were selected, one sentence each."""
    splits = selection_splits(inp.runs)
    known = [sentence for split, sentence in SELECTION.items() if split in splits]
    return known + (["Not every run says on which split its epoch was selected."] if None in splits else [])


def singular_caveats(result: InteractionResult) -> list[str]:
    """Return what a singular fit means: the sentence of the check of that name, ours where there is none."""
    said = [check.sentence for check in result.checks if check.name == "singular" and check.flag]
    return said or ([SINGULAR] if result.singular else [])


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


def accuracy_caveats(metrics: Sequence[str], *, on_test: bool) -> list[str]:
    """Return that an accuracy among `metrics` was selected on the test split, where it was; else nothing."""
    return [ON_TEST] if on_test and any(metric in ACCURACIES for metric in metrics) else []


def study_caveats(inp: ReportInput) -> list[str]:
    """Return what limits every finding of the study: selection on test, unfinished cells, one seed."""
    notes = []
    if "test" in selection_splits(inp.runs):
        notes.append(SELECTION["test"])
    states = Counter(inp.grid["status"].to_list())
    open_cells = sum(states.values()) - states["done"]
    if open_cells:
        kinds = wording.listed(
            [f"{n} {state or 'unknown'}" for state, n in sorted(states.items(), key=str) if state != "done"]
        )
        notes.append(
            f"{open_cells} of {wording.counted(sum(states.values()), 'planned run')} have no result ({kinds})."
        )
    if inp.done.height and inp.done["seed"].n_unique() < 2:
        notes.append("All finished runs have the same seed: there is no interval and no test.")
    return notes
