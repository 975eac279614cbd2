"""What to choose: a card per data set, from what validation chose, and why there is none."""

from dataclasses import replace

import msgspec
import polars as pl
import pytest

from heatdrift.questions.best.analysis import best
from heatdrift.report.blocks import Choice, Note
from heatdrift.report.sections.decision import decision
from heatdrift.report.study_data import prepare


@pytest.fixture(scope="module")
def answered(study):
    return replace(study, answers={"best": (best(study.runs, margin=2.0),)})


def cards(inp):
    return [b for b in decision(inp, prepare(inp)).blocks if isinstance(b, Choice)]


def test_a_card_has_the_choice_its_price_and_the_next_method(answered):
    (result,) = answered.answers["best"]
    found = cards(answered)
    assert [card.place for card in found] == ["shapes", "textures"]
    for card, row in zip(found, result.decisions, strict=True):
        assert card.verdict == row.verdict
        accuracy, zero_shot, kept = (value for _, value, _ in card.numbers)
        assert accuracy == f"{row.mean:.1f} %"
        assert zero_shot == f"{row.zero_shot_base_pct:.1f} → {row.zero_shot_pct:.1f} %"
        (name, _, detail) = card.numbers[1]
        assert name == "Zero-shot on combinations, before and after"
        assert detail.startswith(f"−{row.zero_shot_base_pct - row.zero_shot_pct:.1f} points; after ")
        assert kept == f"{row.retention_pct:.1f} %"
        assert f"points of {card.numbers[0][0].lower()} (" in card.against
        assert "against the next, " in card.against
        assert "Holm" not in " ".join(card.sentences)


def test_a_rate_that_not_all_seeds_chose_is_said_with_the_others(answered):
    """The numbers are means of each seed at its own choice, so a title with one rate alone would say too much."""
    (result,) = answered.answers["best"]
    row = result.decisions[0]
    mixed = msgspec.structs.replace(row, lr=1e-3, chosen={"1e-3": row.n_seeds - 1, "3e-3": 1})
    alike = msgspec.structs.replace(row, lr=1e-3, chosen={"1e-3": row.n_seeds})
    for decided, title, said in ((mixed, f" ({row.n_seeds - 1} of {row.n_seeds} seeds)", True), (alike, "", False)):
        shown = replace(answered, answers={"best": (msgspec.structs.replace(result, decisions=(decided,)),)})
        (card,) = cards(shown)
        assert card.title.endswith(f"e-3{title}") or card.title.replace("\u2060", "").endswith(f"e-3{title}")
        assert ("each at its own choice" in " ".join(card.sentences)) == said


def test_what_more_seeds_would_settle_is_said_where_nothing_is_settled(answered):
    (result,) = answered.answers["best"]
    open_rows = tuple(msgspec.structs.replace(row, verdict="undecided") for row in result.decisions)
    undecided = replace(answered, answers={"best": (msgspec.structs.replace(result, decisions=open_rows),)})
    for card, row in zip(cards(undecided), open_rows, strict=True):
        assert f"takes {row.seeds_to_settle} seed" in " ".join(card.sentences)


def test_without_an_answer_the_section_says_why(study):
    bare = replace(study, answers={}, unavailable={"best": ("No validation accuracy.",)})
    (note,) = decision(bare, prepare(bare)).blocks
    assert isinstance(note, Note)
    assert note.text == "Nothing to choose between. No validation accuracy."


def test_accuracies_that_selected_their_epoch_are_called_optimistic(answered):
    on_test = replace(answered, runs=answered.runs.with_columns(protocol=pl.lit("preprint")))
    assert "optimistic" in decision(on_test, prepare(on_test)).lead
    assert "optimistic" not in decision(answered, prepare(answered)).lead
