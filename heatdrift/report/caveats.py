"""What limits the findings: how epochs were selected, singular fits, unfinished cells, one seed."""

from collections import Counter
from typing import Final

from heatdrift import wording
from heatdrift.accuracy import selection_splits
from heatdrift.report.inputs import ReportInput

# How the epoch was chosen at which a run is read; a reader must know it before reading an accuracy.
SELECTION: Final = {
    "test": "Epochs were selected on the provided test split, as in the published study: the accuracies are those "
    "of the split that selected them and are optimistic.",
    "val": "Epochs were selected on a validation split; the test split was read once, at the selected epoch.",
}


def selection_sentences(inp: ReportInput) -> list[str]:
    """Return on which splits the epochs were selected, one sentence each."""
    splits = selection_splits(inp.runs)
    known = [sentence for split, sentence in SELECTION.items() if split in splits]
    return known + (["Not every run says on which split its epoch was selected."] if None in splits else [])


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
