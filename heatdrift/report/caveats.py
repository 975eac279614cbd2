"""What limits all findings of a study: how epochs were selected, a base near chance, unfinished cells, one seed."""

from collections import Counter
from typing import Final

from heatdrift import wording
from heatdrift.accuracy import base_warnings, selected_on_test, selected_on_test_sentence, selection_splits
from heatdrift.own_factors import apart_caveat, pooled_caveat
from heatdrift.report.inputs import ReportInput

# How the epoch was chosen at which a run is read; a reader must know it before reading an accuracy.
_SELECTION: Final = {
    "test": selected_on_test_sentence(),
    "val": "Epochs were selected on a validation split; the test split was read once, at the selected epoch.",
}


def selection_sentences(inp: ReportInput) -> list[str]:
    """Return on which splits the epochs were selected, one sentence each; nothing where nothing selected one."""
    splits = selection_splits(inp.runs)
    known = [sentence for split, sentence in _SELECTION.items() if split in splits]
    return known + (["Not every run says on which split its epoch was selected."] if None in splits else [])


def study_caveats(inp: ReportInput) -> list[str]:
    """Return what limits every finding of the study: selection on test, a base near chance, open cells, one seed."""
    notes = [selected_on_test_sentence()] if selected_on_test(inp.runs) else []
    backbones = inp.done.select("cell_id", "backbone")
    notes += base_warnings(
        inp.transfer.join(backbones, on="cell_id") if "n_classes" in inp.transfer.columns else inp.done
    )
    notes += [*apart_caveat(inp.done, inp.study), *pooled_caveat(inp.done)]
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
