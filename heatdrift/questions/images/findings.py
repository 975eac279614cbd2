"""What single images support, as claims, and where two tests of one difference part.

A claim rests on the seed level: other seeds, these images. Where seeds and images together do not support it, its
sentence says so. All classes of one method are one claim, with the smallest p times their number (Bonferroni).
"""

from collections.abc import Iterator, Sequence
from math import isnan

from heatdrift.questions.answer import ALPHA
from heatdrift.questions.claims import Claim, about_base, about_methods, place_key
from heatdrift.questions.images.comparisons import BASE
from heatdrift.questions.images.result import ClassRow, DifferenceRow, LogisticRow, McNemarRow, SplitRow
from heatdrift.stats.crossed_means import predicted_se
from heatdrift.wording import (
    counted,
    difference_interval,
    listed,
    method_difference,
    method_title,
    number,
    p_text,
    signed,
    t_text,
)

NAMED = 3  # classes that a sentence names


class Words:
    """Claims and notes about one transfer set."""

    def __init__(self, transfer_set: str, datasets: Sequence[str], level: float, retention: str) -> None:
        """`retention` is the metric that a share of these images decides: every run of one base is divided alike."""
        self.transfer_set, self.datasets, self.level = transfer_set, datasets, level
        self.retention = retention

    def difference(self, row: DifferenceRow) -> Claim:
        """Return the claim that two methods, or a method and its base, differ on these images."""
        a, place = method_title(row.method_a), self._place(row.dataset)
        where = f"zero-shot accuracy on {self.transfer_set}"
        if row.method_b == BASE:
            says = f"{a} {'gained' if row.estimate > 0 else 'lost'} {where} against base {place}"
            asks, names = f"{a} against base in {where} {place}", f"{row.method_a}-{BASE}"
            hypothesis = about_base(self.retention, row.dataset, row.method_a)
        else:
            b = method_title(row.method_b)
            says = f"{a} keeps {'more' if row.estimate > 0 else 'less'} {where} than {b} {place}"
            asks, names = f"{a} against {b} in {where} {place}", f"{row.method_a}-{row.method_b}"
            hypothesis = about_methods(self.retention, row.dataset, row.method_a, row.method_b)
        return Claim(
            key=f"images/{self.transfer_set}/{names}/{place_key(row.dataset)}",
            hypothesis=hypothesis,
            p=row.p,
            asks=asks,
            says=says,
            measured=f"difference {signed(row.estimate)} points",
            evidence=(
                difference_interval(self.level, row.ci_low, row.ci_high),
                f"seed-level {t_text(row.df, row.t)}, {p_text(row.p)}",
                f"over seeds and images {difference_interval(self.level, row.both_low, row.both_high)}, "
                f"{p_text(row.both_p)}",
                self._seeds(row),
                f"{row.n_images:,} images",
            ),
            warning=". It holds for these images; on others of their kind it is open" if row.p < ALPHA <= row.both_p
            else "",
        )  # fmt: skip

    def classes(self, rows: Sequence[ClassRow]) -> Claim:
        """Return the claim that any class changed, of rows of one method, or of one difference of methods."""
        tested = [row for row in rows if not isnan(row.p)]
        p = min((row.p for row in tested), default=float("nan"))
        of = rows[0].of
        first, _, second = of.partition(" - ")
        a = method_title(first)
        changed = sorted((row for row in tested if row.p_bh < ALPHA), key=lambda row: (row.p, row.change))
        down, up = ([row for row in changed if (row.change < 0) == lost] for lost in (True, False))
        who = f"{a} and {method_title(second)} treat classes of {self.transfer_set} unlike" if second else (
            f"{a} changed classes of {self.transfer_set}")  # fmt: skip
        verbs = (f"{a} lost more", f"{method_title(second)} lost more") if second else ("lost", "gained")
        parts = [
            f"{verb} in {len(found)}, most clearly {listed([self._class(row) for row in found[:NAMED]])}"
            for verb, found in zip(verbs, (down, up), strict=True)
            if found
        ]
        return Claim(
            key=f"images/{self.transfer_set}/classes/{of.replace(' - ', '-')}",
            p=min(1.0, p * len(tested)) if tested else p,
            asks=f"{method_difference(first, second)} in single classes of {self.transfer_set}" if second
            else f"{a} against base in single classes of {self.transfer_set}",
            says=who,
            measured=f"of {counted(len(tested), 'class', 'classes')} " + "; ".join(parts) if parts else "",
            evidence=(
                "over seeds and images",
                f"smallest of {len(tested)} {p_text(p)}",
                "classes by Benjamini and Hochberg at 5 %",
            ),
            warning=", the clearest of many: their changes are overstated" if parts else "",
        )  # fmt: skip

    def _class(self, row: ClassRow) -> str:
        return f"{row.name} {signed(row.change)} points"

    def _place(self, dataset: str | None) -> str:
        if dataset is None and len(self.datasets) > 1:
            return f"over fine-tuning on {len(self.datasets)} data sets"
        return f"after fine-tuning on {dataset or self.datasets[0]}"

    @staticmethod
    def _seeds(row: DifferenceRow) -> str:
        if row.method_b == BASE or row.n_linked == row.n_seeds_a == row.n_seeds_b:
            return counted(row.n_seeds_a, "seed")
        return f"{row.n_seeds_a} and {row.n_seeds_b} seeds, {row.n_linked} of both"

    def notes(
        self,
        rows: Sequence[DifferenceRow],
        split: Sequence[SplitRow],
        classes: Sequence[ClassRow],
        mcnemar: Sequence[McNemarRow],
        logistic: Sequence[LogisticRow],
    ) -> Iterator[str]:
        """Yield what limits the comparison, what both methods forgot, and where two tests disagree at 5 %."""
        yield from (limit(row) for row in split if row.dataset is None and row.method_b != BASE)
        yield from self._shared(classes)
        for row in rows:
            if row.method_b != BASE and row.dataset is None:
                yield from self._runs(row, mcnemar)
        for check in logistic:
            pair = check.method_a, check.method_b
            main = next(r for r in rows if r.dataset is None and (r.method_a, r.method_b) == pair)
            if not isnan(main.p) and (main.p < ALPHA) != (check.p < ALPHA):
                yield (
                    f"The logistic check with random images, seeds and runs says otherwise about {_title(*pair)}: "
                    f"{p_text(check.p)}, seed level {p_text(main.p)}."
                )

    def _shared(self, classes: Sequence[ClassRow]) -> Iterator[str]:
        """Say which classes both methods forgot; that one alone did needs the test of their difference."""
        lost = {
            of: {row.name for row in classes if row.of == of and row.p_bh < ALPHA and row.change < 0}
            for of in dict.fromkeys(row.of for row in classes if " - " not in row.of)
        }
        if len(lost) == 2 and any(lost.values()):
            (a, of_a), (b, of_b) = lost.items()
            yield (
                f"Of the classes of {self.transfer_set}, {method_title(a)} forgot {len(of_a)} and {method_title(b)} "
                f"{len(of_b)}; {len(of_a & of_b)} of them are the same. A class in one list only need not differ "
                "between the methods: that is what the test of the difference asks."
            )

    def _runs(self, row: DifferenceRow, mcnemar: Sequence[McNemarRow]) -> Iterator[str]:
        """Say that single pairs of runs differ where seeds do not support a difference of methods."""
        own = [m for m in mcnemar if (m.method_a, m.method_b) == (row.method_a, row.method_b)]
        differing = [m for m in own if m.p_holm < ALPHA]
        if differing and not row.p < ALPHA:
            yield (
                f"{len(differing)} of {counted(len(own), 'pair')} of runs differ by McNemar's test (Holm), while seeds "
                f"do not support a difference of the methods ({p_text(row.p)}): those runs differ, not the methods."
            )


def limit(row: SplitRow) -> str:
    """Return which of seeds and images limits a comparison, and what twice as many of each would make of its error."""
    what = _title(row.method_a, row.method_b)
    parts = row.sd_seed**2, row.sd_image**2, row.sd_rest**2
    now, of_seeds, of_images = (
        number(predicted_se(*parts, k * row.n_seeds, m * row.n_images)) for k, m in ((1, 1), (2, 1), (1, 2))
    )
    return (
        f"{what}: over seeds and images its standard error is {now} points, of which {row.limited_by} are the larger "
        f"part (seeds {number(row.se_of_seeds)}, images {number(row.se_of_images)}); twice the seeds would make it "
        f"{of_seeds}, twice the images {of_images}."
    )


def _title(method_a: str, method_b: str) -> str:
    if method_b == BASE:
        return f"{method_title(method_a)} minus base"
    return method_difference(method_a, method_b)


def supported(claims: Sequence[Claim], adjusted: Sequence[float]) -> Iterator[str]:
    """Yield the sentences of the claims that hold after adjustment over all of them."""
    tested = sum(not isnan(claim.p) for claim in claims)
    for claim, p in zip(claims, adjusted, strict=True):
        if p < ALPHA:
            yield claim.sentence(f"Holm over {counted(tested, 'test')} {p_text(p)}" if tested > 1 else "")
