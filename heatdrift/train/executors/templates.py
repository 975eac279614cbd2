"""Job scripts of schedulers for the study at hand, from the files of ``templates/``."""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import jinja2

from heatdrift.errors import UnknownNameError
from heatdrift.train.executors.sizing import Sizing

FOLDER: Final = Path(__file__).parent / "templates"
FILES: Final = {"slurm": "slurm.sh", "ray": "ray.sh", "k8s": "k8s.yaml", "skypilot": "skypilot.yaml"}
IMAGE: Final = "registry.example/heatdrift:latest"


def job_script(
    scheduler: str,
    sizing: Sizing,
    *,
    study: str,
    command: Sequence[str],
    gpus: int = 0,
    threads: int = 1,
    image: str = IMAGE,
) -> str:
    """Return the script or manifest of `scheduler` that runs `command` on its machines.

    Parameters
    ----------
    study : its name, for names of jobs.
    command : words of the ``heatdrift train`` command, without ``--shard``.
    gpus : whole GPUs of one part.

    Raises
    ------
    UnknownNameError : no such scheduler.
    """
    if scheduler not in FILES:
        raise UnknownNameError("scheduler", scheduler, FILES)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=False,
        autoescape=False,
    )
    return environment.get_template(FILES[scheduler]).render(
        study=study,
        name=label(f"heatdrift-{study}"),
        cells=sizing.cells,
        parts=sizing.parts,
        limit=sizing.limit,
        time_words=sizing.time_words,
        memory_gib=sizing.memory_gib,
        memory_words=sizing.memory_words,
        gpus=gpus,
        threads=threads,
        command=shlex.join(command),
        command_json=json.dumps([*command, "--shard", "env", "--jobs", "1"]),
        image=json.dumps(image),
    )


def label(name: str) -> str:
    """Return `name` as Kubernetes and buckets allow: lower case letters, digits and "-", at most 63."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:63].strip("-")
