"""The spectral form of one random intercept gives what the matrices of several give."""

import numpy as np
import pytest

from heatdrift.stats.deviance import Grouping, ProfiledDeviance, profiled_deviance
from heatdrift.stats.mixed_model import fit_many, fit_mixed


class Matrices(ProfiledDeviance):
    """The same quantities by solving with q x q matrices, as for several random intercepts."""

    alone = None


def both(reml, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 9, 60)
    x = np.column_stack([np.ones(60), rng.normal(size=60), codes == 3])
    spectral = profiled_deviance(x, [Grouping("g", np.unique(codes, return_inverse=True)[1])], reml=reml)
    y = rng.normal(size=(5, 60)) + rng.normal(size=9)[codes]
    names = ("groupings", "basis", "w_raw", "w", "member", "logdet_xx", "reml")
    return spectral, Matrices(**{name: getattr(spectral, name) for name in names}), *spectral.project(y)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("ratio", [0.0, 1e-3, 0.7, 40.0, 1e6])
def test_one_component_is_the_general_form(reml, ratio):
    spectral, matrices, u, yy = both(reml)
    ratios = np.full((5, 1), ratio)
    assert spectral.alone is not None
    for ours, theirs in (
        (spectral.deviance(ratios, u, yy), matrices.deviance(ratios, u, yy)),
        (spectral.derivatives(ratios, u, yy), matrices.derivatives(ratios, u, yy)),
        (
            spectral.absolute(2.0 * ratios, np.full(5, 2.0), u, yy),
            matrices.absolute(2.0 * ratios, np.full(5, 2.0), u, yy),
        ),
        ((spectral.weighted(ratios, u),), (matrices.weighted(ratios, u),)),
        ((spectral.deviance_at(ratios[0], u, yy),), (matrices.deviance_at(ratios[0], u, yy),)),
    ):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


def test_many_responses_in_parts_are_the_same_as_one_by_one(monkeypatch):
    from heatdrift.stats import mixed_model

    rng = np.random.default_rng(3)
    codes = [rng.integers(0, 6, 50), rng.integers(0, 4, 50)]
    groupings = [Grouping(name, np.unique(c, return_inverse=True)[1]) for name, c in zip("gh", codes, strict=True)]
    x, y = np.ones((50, 1)), rng.normal(size=(7, 50)) + rng.normal(size=6)[codes[0]]
    monkeypatch.setattr(mixed_model, "_MOST_NUMBERS", 200)  # two responses at once
    many = fit_many(y, x, groupings)
    for i, response in enumerate(y):
        one = fit_mixed(response, x, groupings)
        assert many.loglik[i] == pytest.approx(one.loglik, abs=1e-9)
        assert many.ratios[i] == pytest.approx(one.ratios, abs=1e-7)
