"""The headline test holds its bands (docs/calibration.md) in every simulated condition: 10,000 draws each."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # these scripts also run by themselves

from calibrate import HEADLINE_LIMITS, measured
from conditions import CONDITIONS, SPREAD
from sizes import seed_level


@pytest.mark.slow
@pytest.mark.parametrize("condition", [*CONDITIONS, *SPREAD], ids=lambda c: c.label)
def test_headline_sizes_lie_in_their_band(condition):
    low, high = HEADLINE_LIMITS[condition.missing]
    sizes = {
        term: value for (test, term), value in measured(condition, [seed_level], 10_000).items() if test == "headline"
    }
    assert set(sizes) == {"method", "lr", "lr:method"}
    assert all(low <= value <= high for value in sizes.values()), sizes


def test_the_page_is_the_output_of_its_script():
    page = (Path(__file__).resolve().parents[2] / "docs" / "calibration.md").read_text()
    assert "tests/calibration/calibrate.py --draws 10000" in page
    assert "| headline | method |" in page
