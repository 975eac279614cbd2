"""heatdrift against lme4, lmerTest, pbkrtest and emmeans: every quantity of every file in tests/reference/r.

The JSON files hold R's answers; r/README.md says which R command made them (make_reference.R) and states the
tolerances. lme4's optimiser stops up to 5e-5 short of the optimum of a model with two variances, more than the README's
tolerance; for those models *.tight.json hold R's answers with the optimiser run to 1e-14 (make_tight.R), and these are
met. Against the default run of the same model only what an early stop leaves is asked, and that our likelihood is not
the lower one.

Run as a script, this file prints the worst error per quantity and file; docs/questions/index.md shows the first rows.
"""

import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from heatdrift.questions.interaction.contrasts import marginal_means, method_contrasts
from heatdrift.questions.interaction.model import InteractionModel
from heatdrift.stats.design import categorical, full_factorial, log_linear
from heatdrift.stats.deviance import Grouping
from heatdrift.stats.distributions import f_p_value, t_p_value
from heatdrift.stats.kenward_roger import kenward_roger
from heatdrift.stats.mixed_model import fit_mixed
from heatdrift.stats.satterthwaite import satterthwaite

HERE = Path(__file__).parent / "r"
FILES = sorted(HERE.glob("*.json"))
TOLERANCE = {
    "variance": 1e-5,  # x max(variance, residual variance)
    "log-likelihood": 1e-6,  # absolute
    "estimate": 1e-6,  # x max(estimate, standard error)
    "standard error": 1e-6,
    "F": 1e-6,
    "df": 1e-3,
    "p": 1e-3,  # p follows the df, whose tolerance is 1e-3; its own size is relative
    "likelihood ratio": 1e-6,
    "interval": 1e-4,  # end points follow the df; x max(end point, standard error)
}
EARLY_STOP = TOLERANCE | {
    "variance": 1e-4, "estimate": 1e-5, "standard error": 5e-5, "F": 1e-4, "p": 1e-2, "interval": 1e-3
}  # fmt: skip


def reference(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def model_of(ref: dict[str, Any]) -> tuple[InteractionModel | None, np.ndarray, np.ndarray, tuple[Grouping, ...]]:
    """Our model of a reference file; for an intercept-only formula the design is a column of ones."""
    frame = pl.read_csv(HERE / ref["data"])
    fixed = ref["formula"].split(" ~ ")[1].split(" + (")[0]
    y = frame[ref["response"]].cast(pl.Float64).to_numpy()
    groupings = []
    for name in re.findall(r"\(1 \| ([^)]*)\)", ref["formula"]):
        keys = frame.select(pl.struct(name.split(":")).rank("dense").alias("code"))["code"].to_numpy()
        groupings.append(Grouping(name=name, codes=(keys - 1).astype(np.intp)))
    if fixed == "1":
        return None, y, np.ones((y.size, 1)), tuple(groupings)
    factors = []
    lrs = sorted(frame["lr"].unique().to_list())
    for name in fixed.split(" * "):
        if name == "lr_f":
            factors.append(categorical("lr", lrs))
        elif name == "lr_c":
            factors.append(log_linear(lrs, lrs, degree=1))
        else:
            factors.append(categorical(name, sorted(frame[name].unique().to_list())))
    design = full_factorial(factors)
    cells = design.cells({f.name: frame[f.name].to_list() for f in factors})
    seed_names = sorted(frame["seed"].unique().to_list())
    model = InteractionModel(
        y=y,
        design=design,
        cells=cells,
        seeds=np.searchsorted(seed_names, frame["seed"].to_numpy()),
        seed_names=tuple(seed_names),
        lrs=tuple(lrs),
        random=" + ".join(g.name for g in groupings),
        groupings=tuple(groupings),
    )
    return model, y, model.x, model.groupings


def errors(ref: dict[str, Any]) -> dict[str, float]:
    """Worst error per quantity, on the scale of TOLERANCE."""
    model, y, x, groupings = model_of(ref)
    fit = fit_mixed(y, x, groupings)
    ml = fit_mixed(y, x, groupings, reml=False)
    worst: dict[str, float] = defaultdict(float)

    def note(quantity: str, ours: float, theirs: float, scale: float | None = None) -> None:
        size = abs(theirs) if scale is None else scale
        worst[quantity] = max(worst[quantity], abs(ours - theirs) / size)

    note("log-likelihood", fit.loglik, ref["reml_loglik"], 1.0)
    note("log-likelihood", ml.loglik, ref["ml_loglik"], 1.0)
    variances = {g.name: v for g, v in zip(groupings, fit.variances, strict=True)} | {"Residual": fit.residual_variance}
    residual = next(r["vcov"] for r in ref["random"] if r["grp"] == "Residual")
    for row in ref["random"]:
        note("variance", variances[row["grp"]], row["vcov"], max(row["vcov"], residual))
    for inference, fixed, terms in (
        (satterthwaite(fit), ref["fixed"], ref["type3_satterthwaite"]),
        (kenward_roger(fit), ref["fixed_kr"], ref["type3_kenward_roger"]),
    ):
        for i, row in enumerate(fixed):
            estimate, se, df = inference.contrast(np.eye(x.shape[1])[i])
            note("estimate", estimate, row["Estimate"], max(abs(row["Estimate"]), row["Std. Error"]))
            note("standard error", se, row["Std. Error"])
            note("df", df, row["df"])
            note("p", t_p_value(estimate / se, df), row["Pr(>|t|)"])
        for row in terms:
            assert model is not None
            f, df_num, df_den = inference.term(model.design.hypotheses[re.sub("lr_[fc]", "lr", row["term"])])
            assert df_num == row["NumDF"]
            note("F", f, row["F value"])
            note("df", df_den, row["DenDF"])
            note("p", f_p_value(f, df_num, df_den), row["Pr(>F)"])
    if model is None:
        return dict(worst)
    dropped = [row for row in ref["drop1_lrt_ml"] if row["npar"]]
    for ours, row in zip(model.likelihood_ratios(), dropped, strict=True):
        assert (ours.term, ours.df) == (re.sub("lr_[fc]", "lr", row["term"]), row["npar"])
        note("likelihood ratio", ours.chi2, row["LRT"])
        note("p", ours.p, row["Pr(Chi)"])
    means = {
        (m.dataset, m.method, m.lr): m
        for m in (marginal_means(model, ddf="kenward_roger", conf_level=0.95) if "emmeans" in ref else ())
    }
    for row in ref.get("emmeans", []):
        ours = means[row.get("dataset"), row["method"], float(row["lr_f"])]
        note("estimate", ours.mean, row["emmean"], max(abs(row["emmean"]), row["SE"]))
        note("standard error", ours.se, row["SE"])
        note("df", ours.df, row["df"])
        note("interval", ours.ci_low, row["lower.CL"], max(abs(row["lower.CL"]), row["SE"]))
    if "contrasts" in ref:  # R printed contrasts for lr as a factor only
        for ours, row in zip(
            method_contrasts(model, ddf="kenward_roger", conf_level=0.95), ref["contrasts"], strict=True
        ):
            assert (ours.method_a, ours.method_b) == tuple(row["contrast"].split(" - "))
            assert (ours.lr, ours.dataset) == (float(row["lr_f"]), row.get("dataset"))
            note("estimate", ours.estimate, row["estimate"], max(abs(row["estimate"]), row["SE"]))
            note("standard error", ours.se, row["SE"])
            note("df", ours.df, row["df"])
            note("p", ours.p, row["p.value"])
            note("p", ours.p_holm, row["p_holm"])
            note("interval", ours.ci_low, row["lower.CL"], max(abs(row["lower.CL"]), row["SE"]))
            note("interval", ours.ci_high, row["upper.CL"], max(abs(row["upper.CL"]), row["SE"]))
    return dict(worst)


def has_tight_twin(path: Path) -> bool:
    return path.with_name(path.name.removesuffix(".json") + ".tight.json") in FILES


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name.removesuffix(".json"))
def test_every_quantity_agrees_with_r(path):
    tolerance = EARLY_STOP if has_tight_twin(path) else TOLERANCE
    found = errors(reference(path))
    too_far = {name: value for name, value in found.items() if not value <= tolerance[name]}
    assert not too_far


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name.removesuffix(".json"))
def test_likelihood_is_never_below_r_and_singularity_agrees(path):
    ref = reference(path)
    _, y, x, groupings = model_of(ref)
    fit = fit_mixed(y, x, groupings)
    assert fit.loglik >= ref["reml_loglik"] - 1e-11
    assert fit.singular == ref["singular"]


def test_all_files_of_the_shared_reference_are_here():
    shared = Path(__file__).resolve().parents[2] / "../shared/reference/r"
    if not shared.is_dir():
        pytest.skip("../shared/reference/r is not beside this checkout")
    for source in shared.iterdir():
        assert (HERE / source.name).read_bytes() == source.read_bytes(), source.name


def _family(path: Path) -> str:
    if path.name.endswith(".tight.json"):
        return "two variances, R run to its optimum"
    return "two variances, R's default stop" if has_tight_twin(path) else "one variance"


def test_the_documentation_promises_no_more_than_is_kept():
    """docs/questions/index.md holds the first rows of the table below (rounding differs a little between machines)."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "questions" / "index.md").read_text(encoding="utf-8")
    printed = _rows(_table())
    families = {_family(path) for path in FILES}
    promised = {name: values for name, values in _rows(page).items() if name in families}
    assert set(promised) == families
    for name, values in promised.items():
        for quantity, value in values.items():
            assert printed[name][quantity] <= 3.0 * value, (name, quantity)


def _rows(text: str) -> dict[str, dict[str, float]]:
    """Rows of the table headed by 'files': name -> quantity -> worst error."""
    heads: list[str] = []
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| files |"):
            heads = cells[1:]
        elif not line.startswith("|"):
            heads = []
        elif heads and not line.startswith("|-"):
            found[cells[0]] = {h: float(c) for h, c in zip(heads, cells[1:], strict=True) if c}
    return found


def _table() -> str:
    """Worst error per quantity and family of files, then per file."""
    rows: dict[str, dict[str, float]] = {}
    for path in FILES:
        found = errors(reference(path))
        family = rows.setdefault(_family(path), {})
        for name, value in found.items():
            family[name] = max(value, family.get(name, 0.0))
        rows[path.name.removesuffix(".json")] = found
    families = {_family(path) for path in FILES}
    lines = ["| files | " + " | ".join(TOLERANCE) + " |", "|---" * (len(TOLERANCE) + 1) + "|"]
    for name in sorted(rows, key=lambda n: (n not in families, n)):
        cells = [f"{rows[name][q]:.0e}" if q in rows[name] else "" for q in TOLERANCE]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(_table())
