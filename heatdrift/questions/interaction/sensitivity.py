"""Sensitivity of an interaction analysis to single seeds, cells and runs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from heatdrift.questions.answer import ALPHA, Check
from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.wording import counted, p_span, p_text, signed

Floats = npt.NDArray[np.float64]

_LARGE_RESIDUAL: Final = 4.0
# runs x coefficients^2 x seeds left out in turn: about eight seconds; beyond it not every seed is tried
SEED_WORK: Final = 600_000_000
_FEWEST_SEEDS: Final = 3
# runs x coefficients x cells left out in turn
CELL_WORK: Final = 400_000_000


def sensitivity_checks(model: InteractionModel) -> tuple[Check, ...]:
    """Leave one seed out; leave one cell out; the largest residual."""
    return _leave_one_seed_out(model), _leave_one_cell_out(model), _residuals(model)


def terms_that_cross(checks: Sequence[Check], name: str) -> tuple[str, ...]:
    """Terms whose seed-level p crosses 5 % when one cell or one seed is left out, as the check `name` found them."""
    (values,) = [check.values for check in checks if check.name == name] or [{}]
    found = []
    for term in (key.removesuffix(" p_all") for key in values if key.endswith(" p_all")):
        ps = [float(str(values[f"{term} p_{which}"])) for which in ("all", "min", "max")]
        if len({p < ALPHA for p in ps}) > 1:
            found.append(term)
    return tuple(found)


def _leave_one_seed_out(model: InteractionModel) -> Check:
    """Seed-level test of every term with each seed left out in turn; the sentence is about method and what crosses."""
    defined = [term for term, test in model.seed_tests.items() if not np.isnan(test.p_box)]
    main = "method" if "method" in defined else (defined or model.design.terms)[0]
    values: dict[str, float | int | str | None] = {"term": main, "p_all": model.seed_tests[main].p_box}
    if len(model.seed_names) < 3:
        sentence = "With two seeds none can be left out."
        return Check(name="leave_one_seed_out", flag=False, values=values, sentence=sentence)
    n_seeds = len(model.seed_names)
    tried = min(n_seeds, SEED_WORK // model.x.size // model.x.shape[1])
    if tried < _FEWEST_SEEDS:
        sentence = f"No seed was left out in turn: with {model.x.shape[1]} coefficients that takes too long."
        return Check(name="leave_one_seed_out", flag=False, values=values, sentence=sentence)
    if tried < n_seeds:
        values |= {"n_tried": tried, "n_seeds": n_seeds}
    without = {}
    for s in np.unique(np.linspace(0, n_seeds - 1, tried).astype(int)).tolist():
        name = model.seed_names[s]
        kept = model.seeds != s
        smaller = replace(
            model,
            y=model.y[kept],
            cells=model.cells[kept],
            seeds=np.unique(model.seeds[kept], return_inverse=True)[1].ravel(),
            seed_names=tuple(n for n in model.seed_names if n != name),
            groupings=(),
        )
        without[name] = smaller.seed_tests
        values[f"p without seed {name}"] = without[name][main].p_box
    crossed, turned = [], []
    for term, full in model.seed_tests.items():
        tests = [found[term] for found in without.values() if not np.isnan(found[term].p_box)]
        if not tests or np.isnan(full.p_box):
            continue
        ps = [t.p_box for t in tests]
        values |= {f"{term} p_all": full.p_box, f"{term} p_min": min(ps), f"{term} p_max": max(ps)}
        if any((p < ALPHA) != (full.p_box < ALPHA) for p in ps):
            crossed.append(f"{term} ({p_span(ps)}; with all seeds {p_text(full.p_box)})")
        if full.df_num == 1 and any(t.estimate * full.estimate < 0.0 for t in tests):
            turned.append(term)
    if f"{main} p_min" not in values:
        sentence = f"Without one seed the effect of {main} cannot be tested."
    else:
        span = [float(str(values[f"{main} p_{end}"])) for end in ("min", "max")]
        sentence = (
            "Leaving out one seed at a time"
            + (f" ({tried} of {n_seeds}, evenly spaced)" if tried < n_seeds else "")
            + f", the seed-level test of {main} gives {p_span(span)} "
            f"(with all seeds {p_text(model.seed_tests[main].p_box)})."
        )
    if crossed:
        sentence += f" The answer at 5 % depends on a single seed for {', '.join(crossed)}"
        sentence += (
            ": two seeds leave 1 degree of freedom, with which few effects can pass."
            if n_seeds == _FEWEST_SEEDS
            else ": claim nothing about that before more seeds confirm it."
        )
    if turned:
        sentence += f" The estimate changes its sign without one seed for {', '.join(turned)}: its direction is open."
    return Check(name="leave_one_seed_out", flag=bool(turned or crossed), values=values, sentence=sentence)


def _leave_one_cell_out(model: InteractionModel) -> Check:
    """Seed-level tests without one cell (dataset x method x lr, all its seeds) and the cells that it is compared with.

    A term compares cells at one place: one combination of levels of the factors that it does not name. Without a cell
    that comparison cannot be made there, so the term is averaged over the other places. The term of highest order has
    one place only and cannot be asked.
    """
    values: dict[str, float | int | str | None] = {}
    crossing, flag = [], False
    skipped = 0
    for term in model.design.terms:
        parts = _place_hypotheses(model, term)
        if len(parts) < 2:
            continue
        if len(parts) * model.x.size * parts[0].shape[0] > CELL_WORK:
            skipped += 1
            continue
        full = model.seed_tests[term]
        tests = [model.seed_test(term, np.mean([*parts[:i], *parts[i + 1 :]], axis=0)) for i in range(len(parts))]
        ps = [t.p_box for t in tests if not np.isnan(t.p_box)]
        if not ps:
            continue
        values |= {f"{term} p_all": full.p_box, f"{term} p_min": min(ps), f"{term} p_max": max(ps)}
        crossed = any((p < ALPHA) != (full.p_box < ALPHA) for p in ps)
        text = f"{term} ({p_span(ps)}; with all cells {p_text(full.p_box)}"
        if full.df_num == 1:
            estimates = [t.estimate for t in tests if not np.isnan(t.estimate)]
            values |= {
                f"{term} estimate_all": full.estimate,
                f"{term} estimate_min": min(estimates),
                f"{term} estimate_max": max(estimates),
            }
            text += f"; estimate {signed(min(estimates))} to {signed(max(estimates))}"
        crossing += [f"{text})"] if crossed else []
        flag = flag or crossed
    sentence = (
        "Leaving out one cell at a time, with the cells it is compared with, moves p across 5 % for "
        + ", ".join(crossing)
        + f": {'this average hangs' if len(crossing) == 1 else 'these averages hang'} on single cells. "
        "Read the differences at each learning rate and data set instead."
        if crossing
        else "Leaving out one cell at a time, with the cells it is compared with, changes no answer at 5 %."
    )
    if skipped:
        sentence += f" Not tried for {counted(skipped, 'term')}: with so many coefficients that takes too long."
        values["n_terms_not_tried"] = skipped
    if not values:
        sentence = "No cell can be left out: every effect is estimated at one place only."
    return Check(name="leave_one_cell_out", flag=flag, values=values, sentence=sentence)


def _place_hypotheses(model: InteractionModel, term: str) -> list[Floats]:
    """Hypothesis rows of `term` at each combination of levels of the other factors; their mean is the type III one."""
    design = model.design
    others = [f.name for f in design.factors if f.name not in term.split(":")]
    codes = np.zeros(design.grid.shape[0], dtype=np.intp)
    for name in others:
        codes = codes * design.grid.shape[0] + design.level_codes(name)
    # the weights of the grid's cells in the hypothesis, split by place
    weights = design.hypotheses[term] @ np.linalg.pinv(design.grid)
    places = np.unique(codes)
    return [np.asarray(places.size * (weights * (codes == place)) @ design.grid) for place in places]


def _residuals(model: InteractionModel) -> Check:
    """Largest conditional residual in residual standard deviations, and which run it belongs to."""
    fit = model.fit
    marginal = fit.y - fit.x @ fit.beta
    conditional = fit.residual_variance * fit.solve(marginal)
    z = conditional / np.sqrt(fit.residual_variance)
    worst = int(np.argmax(np.abs(z)))
    where = f"{model.place(int(model.cells[worst]))}, seed {model.seed_names[model.seeds[worst]]}"
    flag = bool(abs(z[worst]) > _LARGE_RESIDUAL)
    sentence = f"The run furthest from its fitted value ({where}) is {signed(float(z[worst]))} residual SD away."
    if flag:
        sentence += (
            " So far off is more than chance scatter: look at that run's curves, and in the check of leaving out "
            "one seed at what its seed changes."
        )
    return Check(name="residuals", flag=flag, values={"largest": float(z[worst]), "where": where}, sentence=sentence)
