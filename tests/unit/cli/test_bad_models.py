"""What people give by mistake, to every command that reads a model: refused in its own words, and nothing is run."""

import io
import os
import pickle

import open_clip
import peft
import pytest
import stubs
import torch
from PIL import Image
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.errors import DataError, ModelError
from heatdrift.model.adapt_tower import adapt_open_clip

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12345\n"
BASE = ("--base", "tiny.safetensors")
COMMANDS = {
    "measure": lambda x: ("measure", *BASE, "--adapted", x, "--images", "colours.parquet"),
    "evaluate": lambda x: ("evaluate", *BASE, "--adapted", x, "--transfer", "colours.parquet"),
    "interpolate": lambda x: ("interpolate", *BASE, "--adapted", x, "--transfer", "colours.parquet", "--alpha", "0,1"),
    "maps": lambda x: ("maps", "--model", "tiny.safetensors", "--adapted", x, "--images", "colours.parquet"),
    "inspect": lambda x: ("inspect", x),
}
REFUSED = {
    "wide.pt": "does not fit the architecture of the base tiny: visual.class_embedding is (64,), not (32,)",
    "shallow.pt": "its visual tower has 2 blocks, not 3",
    "missing.pt": "visual.transformer.resblocks.*.attn.in_proj_bias",
    "adapter": "adapter is for another base",
    "code.pt": "is a pickle that needs code to be read (it calls posix.system",
    "empty.pt": "is empty (0 bytes)",
    "pointer.safetensors": "is a Git LFS pointer",
    "page.pt": "is a web page, not weights",
    "resnet.pt": "is a ResNet (keys begin with 'visual.layer1.')",
}
NOT_A_WRONG_FILE = ("wide.pt", "shallow.pt", "missing.pt", "adapter")  # alone they are models: inspect says which


class Runs:
    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    stubs.write_tiny_backbone(folder)
    stubs.write_image_parquet(folder / "colours.parquet", classes=4, per_class=6, size=28, seed=0)
    wide, shallow = stubs.tiny_config(), stubs.tiny_config()
    wide["vision_cfg"]["width"], shallow["vision_cfg"]["layers"] = 64, 2
    torch.save(open_clip.CLIP(**wide).state_dict(), folder / "wide.pt")
    torch.save(open_clip.CLIP(**shallow).state_dict(), folder / "shallow.pt")
    state = stubs.tiny_clip().state_dict()
    kept = {name: t for name, t in state.items() if ".resblocks.1." not in name}
    torch.save(
        kept | {"visual.extra.weight": torch.zeros(2), "visual.extra.bias": torch.zeros(2)}, folder / "missing.pt"
    )
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"])
    adapt_open_clip(open_clip.CLIP(**wide), config).save_pretrained(folder / "adapter")
    torch.save({"state_dict": Runs()}, folder / "code.pt")
    (folder / "old.pkl").write_bytes(pickle.dumps(Runs()))
    (folder / "empty.pt").write_bytes(b"")
    (folder / "pointer.safetensors").write_text(LFS)
    (folder / "page.pt").write_text("\n<!DOCTYPE html><html><body>404</body></html>")
    torch.save(
        {f"visual.{n}": torch.zeros(2) for n in ("layer1.0.conv1.weight", "attnpool.q_proj.weight")},
        folder / "resnet.pt",
    )
    for name in ("a", "b"):
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (30, 30), (i * 40, 10, 0)).save(folder / "pictures" / name / f"{i}.png")
    (folder / "pictures" / "a" / "3.png").write_bytes(b"no picture")
    (folder / "few").mkdir()
    Image.new("RGB", (30, 30)).save(folder / "few" / "0.png")
    return folder


@pytest.fixture
def at(place, monkeypatch):
    monkeypatch.chdir(place)
    return place


def run(*arguments):
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("file", REFUSED)
def test_a_wrong_file_is_refused_in_its_own_words(at, command, file):
    done = run(*COMMANDS[command](file))
    if command == "inspect" and file in NOT_A_WRONG_FILE:
        assert done.exit_code == 0, done.output
        return
    assert isinstance(done.exception, ModelError), done.output
    assert REFUSED[file] in done.exception.message
    assert done.exception.hint
    assert not (at / "executed").exists()


def test_keys_that_are_missing_and_unexpected_are_both_listed(at):
    done = run(*COMMANDS["evaluate"]("missing.pt"))
    assert "missing 12: " in done.exception.message
    assert "unexpected 2: visual.extra.bias, visual.extra.weight" in done.exception.message


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pickle_that_torch_did_not_write_is_not_run(at, command):
    done = run(*COMMANDS[command]("old.pkl"))
    assert "is a pickle that needs code to be read" in done.exception.message
    assert not (at / "executed").exists()


WITH_PICTURES = {
    "measure": ("measure", *BASE, "--adapted", "tiny.safetensors", "--images", "pictures"),
    "evaluate": ("evaluate", *BASE, "--transfer", "pictures"),
    "interpolate": ("interpolate", *BASE, "--adapted", "tiny.safetensors", "--transfer", "pictures", "--alpha", "0,1"),
    "maps": ("maps", "--model", "tiny.safetensors", "--images", "pictures"),
}


@pytest.mark.parametrize("command", WITH_PICTURES)
def test_a_picture_that_does_not_decode_is_named_and_can_be_left_out_as_the_hint_says(at, command):
    done = run(*WITH_PICTURES[command])
    assert isinstance(done.exception, DataError)
    assert "a/3.png does not decode" in done.exception.message
    assert "--skip-unreadable" in done.exception.hint
    again = run(*WITH_PICTURES[command], "--skip-unreadable")
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize("command", ["measure", "interpolate"])
def test_too_few_pictures_for_probes_are_counted(at, command):
    given = ("few" if part == "pictures" and command == "measure" else part for part in WITH_PICTURES[command])
    more = () if command == "measure" else ("--images", "few", "--skip-unreadable")
    done = run(*given, *more)
    assert "has 1 pictures, and probes need 8 at least" in done.exception.message


def test_a_picture_that_is_a_pointer_is_named_as_such(at, tmp_path):
    for i in range(9):
        buffer = io.BytesIO()
        Image.new("RGB", (30, 30)).save(buffer, format="PNG")
        (tmp_path / f"{i}.png").write_bytes(buffer.getvalue() if i else LFS.encode())
    done = run("measure", *BASE, "--adapted", "tiny.safetensors", "--images", str(tmp_path))
    assert "0.png is a Git LFS pointer" in done.exception.message


def test_identical_weights_are_said_by_every_command(at):
    for command in ("measure", "evaluate", "interpolate"):
        said = run(*COMMANDS[command]("tiny.safetensors"))
        assert said.exit_code == 0, said.output
        assert "to the last bit" in said.output, command
