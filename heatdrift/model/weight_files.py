"""OpenAI's archives -> named tensors, and tensors -> safetensors (``layouts/`` reads all other weights)."""

import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

import open_clip
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from heatdrift.decoding import decoding
from heatdrift.errors import ModelError

_OTHER_WAY: Final = (
    "keep the file; get the same weights as safetensors from the hub with heatdrift fetch --study NAME, or install an "
    "open_clip that reads such archives: pip install 'open_clip_torch>=3.2,<4'"
)


def read_openai_archive(path: Path) -> dict[str, Tensor]:
    """State dict of one of OpenAI's TorchScript archives by open_clip's own loader, as float32.

    Such an archive can carry code: the caller has checked that it has the hash that OpenAI published.

    Raises
    ------
    ModelError : the file is no such archive: a pickle, for which open_clip would call torch's unpickler, or damaged; or
        the installed open_clip cannot read it, which is no fault of the file.
    """
    problem = f"{path} is not one of OpenAI's TorchScript archives"
    hint = f"delete {path}, then heatdrift fetch --study NAME"
    with decoding(lambda said: ModelError(f"{problem}: {said}", hint=hint)), zipfile.ZipFile(path) as opened:
        scripted = any(name.endswith("/constants.pkl") for name in opened.namelist())
    if not scripted:  # torch.save writes such a zip too, but without a module's constants
        raise ModelError(problem, hint=hint)
    try:
        with (
            decoding(lambda said: ModelError(f"{problem}: {said[:200]}", hint=hint), but=(AttributeError,)),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", FutureWarning)  # TorchScript is deprecated; OpenAI published nothing else
            clip = open_clip.load_openai_model(str(path), precision="fp32", device="cpu")
    except AttributeError as error:  # open_clip 4 has no such loader; or the archive holds another kind of model
        problem = (
            f"open_clip {version('open_clip_torch')} cannot read the TorchScript archive {path}: {str(error)[:200]}"
        )
        raise ModelError(problem, hint=_OTHER_WAY) from error
    weights: dict[str, Tensor] = clip.state_dict()
    return weights


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors to `path` by atomic rename, so that a full disk or a kill leaves no half file.

    Raises
    ------
    ModelError : the folder cannot be written or the disk is full; nothing is left behind.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with _made(path) as made:
        save_file(stored, made, dict(metadata))


def write_text(path: Path, text: str) -> None:
    """Write a configuration next to the weights, in the same way."""
    with _made(path) as made:
        made.write_text(text, encoding="utf-8")


@contextmanager
def _made(path: Path) -> Iterator[Path]:
    """A path to write to, renamed to `path` when the context closes without an error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            yield Path(folder) / path.name
            (Path(folder) / path.name).replace(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot write {path}: {error}", hint="free space, or give another folder") from error
