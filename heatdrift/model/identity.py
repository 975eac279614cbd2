"""Where a backbone's files lie and what they hash to. Torch-free, so that `plan` is."""

import hashlib
from importlib import resources
from pathlib import Path

from heatdrift.config import BackboneSpec
from heatdrift.errors import ModelError

EMBEDDED = ("lab",)  # backbones whose files are in the package


def backbone_files(spec: BackboneSpec, folder: Path) -> tuple[Path, Path]:
    """Return the paths of architecture JSON and weights; relative ones lie in `folder`.

    Raises
    ------
    ModelError : neither embedded nor given by both paths, or a file is missing.
    """
    if spec.config is None and spec.weights is None and spec.name in EMBEDDED:
        inside = Path(str(resources.files("heatdrift.model"))) / "weights"
        return inside / f"{spec.name}.json", inside / f"{spec.name}.safetensors"
    if spec.config is None or spec.weights is None:
        problem = f"backbone {spec.name!r} is neither embedded ({', '.join(EMBEDDED)}) nor given by config and weights"
        raise ModelError(problem, hint='[backbone] config = "ARCH.json", weights = "WEIGHTS.safetensors"')
    config, weights = folder / spec.config, folder / spec.weights
    for path in (config, weights):
        if not path.is_file():
            hint = "give the folder with --data-dir, data_dir in heatdrift.toml, or HEATDRIFT_DATA"
            raise ModelError(f"there is no file {path} (backbone {spec.name!r})", hint=hint)
    return config, weights


def files_sha256(config: Path, weights: Path) -> str:
    """Hash over the bytes of architecture and weights."""
    digest = hashlib.sha256()
    for path in (config, weights):
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def backbone_sha256(spec: BackboneSpec, folder: Path) -> str:
    """Hash that identifies the backbone: as the study file pins it, else computed from its files."""
    return spec.sha256 if spec.sha256 is not None else files_sha256(*backbone_files(spec, folder))
