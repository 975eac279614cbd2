"""The part of a study that a scheduler's variables name."""

import pytest

from heatdrift.errors import StudyError
from heatdrift.plan.shard import shard_of


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        ({"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "3"}, "3/4"),
        ({"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "4"}, "1/4"),
        ({"JOB_COMPLETION_INDEX": "2", "JOB_COMPLETIONS": "3"}, "3/3"),
        ({"SKYPILOT_NODE_RANK": "1", "SKYPILOT_NUM_NODES": "2"}, "2/2"),
    ],
)
def test_shard_from_the_environment(environment: dict[str, str], shard: str) -> None:
    assert shard_of(environment) == shard


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "none of SLURM_ARRAY_TASK_ID"),
        ({"JOB_COMPLETION_INDEX": "3", "JOB_COMPLETIONS": "3"}, "beyond JOB_COMPLETIONS=3"),
        ({"JOB_COMPLETION_INDEX": "0"}, "JOB_COMPLETIONS is ''"),
        ({"SKYPILOT_NODE_RANK": "-1", "SKYPILOT_NUM_NODES": "2"}, "SKYPILOT_NODE_RANK is '-1'"),
        ({"SLURM_ARRAY_TASK_ID": "9", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "1"}, "counted from 1"),
    ],
)
def test_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        shard_of(environment)
