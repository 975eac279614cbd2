"""The one-page report of `measure`: what was compared, what moved, what was forgotten."""

from typing import Final

from heatdrift import wording
from heatdrift.metrics import PROBE
from heatdrift.report.blocks import Block, Facts, Note, Section, Table
from heatdrift.report.document import Document
from heatdrift.report.index import PageFacts
from heatdrift.train.external_result import SHOWN, MeasureResult

_ROWS: Final = 200  # of the table of classes


def measure_document(result: MeasureResult) -> Document:
    """Return the page of a measurement; equal results give equal pages."""
    title = f"{result.checkpoints[-1].name} against {result.base}"
    sections = [_answer(result), _checkpoints(result), _blocks(result)]
    sections += [_classes(result)] if result.transfer else []
    return Document(
        title=title,
        description=" ".join(result.sentences),
        eyebrow="heatdrift measurement",
        sections=tuple(sections),
        facts=PageFacts(title=title, n_runs=1),
    )


def _answer(result: MeasureResult) -> Section:
    last = result.checkpoints[-1]
    pairs = [("base", result.base), ("images of the probes", f"{result.n_images} of {result.images}")]
    pairs += [(f"label {key}", value) for key, value in result.labels.items()]
    pairs += [(row.name, "; ".join((row.layout, *row.said))) for row in result.checkpoints[1:]]
    pairs += [("stored as", result.stored)] if result.stored else []
    notes: list[Block] = [Note(text=sentence) for sentence in result.sentences]
    notes += [Note(text=f"{wording.capital(note)}.", tone="caveat") for note in result.notes]
    large: list[tuple[str, str]] = [
        (PROBE[name].title, f"{wording.number(last.means.get(name))} {PROBE[name].unit}") for name in SHOWN[:4]
    ]
    if result.transfer is not None and result.transfer.retention_pct is not None:
        large.insert(0, (f"zero-shot kept on {result.transfer.name}", f"{result.transfer.retention_pct:.1f} %"))
    facts = (Facts(pairs=tuple(large), large=True), *notes, Facts(title="What was measured", pairs=tuple(pairs)))
    return Section(section_id="answer", title="What moved", blocks=facts)


def _checkpoints(result: MeasureResult) -> Section:
    zero = ("zero-shot %", "retention %") if result.transfer else ()
    rows = []
    for row in result.checkpoints:
        values = [*(row.means.get(name) for name in SHOWN), *((row.zero_shot_pct, row.retention_pct) if zero else ())]
        rows.append((str(row.epoch), row.name, *(wording.number(value, 4) for value in values)))
    head = ("epoch", "checkpoint", *(f"{PROBE[name].title} ({PROBE[name].unit})" for name in SHOWN), *zero)
    table = Table(
        caption="Epoch 0 is the base; means over blocks where a probe is per block",
        head=head,
        rows=tuple(rows),
        numeric=(True, False, *[True] * (len(head) - 2)),
    )
    return Section(section_id="checkpoints", title="Along the training", blocks=(table,))


def _blocks(result: MeasureResult) -> Section:
    head, rows = result.layer_table()
    texts = tuple(tuple(str(v) if isinstance(v, int) else wording.number(_real(v), 4) for v in row) for row in rows)
    table = Table(
        caption="Block 0 is next to the input", head=tuple(head), rows=texts, numeric=tuple(True for _ in head)
    )
    return Section(section_id="blocks", title="Block by block", blocks=(table,))


def _classes(result: MeasureResult) -> Section:
    assert result.transfer is not None
    ordered = sorted(result.transfer.classes, key=lambda c: c.change)
    rows = tuple(
        (c.name, str(c.n_images), f"{c.base_pct:.1f}", f"{c.adapted_pct:.1f}", wording.signed(c.change))
        for c in ordered[:_ROWS]
    )
    table = Table(
        caption=f"Zero-shot accuracy on {result.transfer.name}, in percent; most forgotten first",
        head=("class", "images", "base", "adapted", "change (points)"),
        rows=rows,
        numeric=(False, True, True, True, True),
        left_out=max(0, len(ordered) - _ROWS),
        rest="in the JSON",
    )
    return Section(section_id="classes", title="Class by class", blocks=(table,))


def _real(value: object) -> float | None:
    return value if isinstance(value, float) else None
