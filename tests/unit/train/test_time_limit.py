"""``--max-time``: whole numbers with units, the largest first."""

import pytest

from heatdrift.errors import TrainError
from heatdrift.train.time_limit import begin_to_stop_s, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3h50m", 13_800), ("90m", 5_400), ("1d12h", 129_600), ("45s", 45), ("1d1h1m1s", 90_061), (" 2h ", 7_200)],
)
def test_times(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "3", "3h 50m", "50m3h", "3h3h", "-3h", "1.5h", "3:50:00", "3H", "h", "٣h", "9999999h", "inf"]
)
def test_what_is_no_time(text):
    with pytest.raises(TrainError, match="is no time") as caught:
        seconds_of(text)
    assert "3h50m" in caught.value.hint


@pytest.mark.parametrize("text", ["0s", "0h0m"])
def test_no_time_at_all(text):
    with pytest.raises(TrainError, match="leaves no time"):
        seconds_of(text)


@pytest.mark.parametrize(("limit_s", "begins_s"), [(13_800, 13_770), (300, 270), (60, 54), (1, 0.9)])
def test_room_for_the_last_step(limit_s, begins_s):
    assert begin_to_stop_s(limit_s) == pytest.approx(begins_s)
