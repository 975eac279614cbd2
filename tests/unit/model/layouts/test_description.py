import json
import subprocess
import sys

import pytest
import stubs
import torch
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.model.layouts.description import describe

SHARED_CASES = "cases/make_weight_cases.py"


def test_sizes_come_from_shapes_and_heads_from_the_configuration(write, state):
    found = describe(write(dict(state), "model.safetensors"))
    assert found.visual is not None
    assert (found.visual.blocks, found.visual.width, found.visual.heads) == (
        stubs.TINY_BLOCKS,
        stubs.TINY_WIDTH,
        stubs.TINY_HEADS,
    )
    assert (found.patch_size, found.image_size, found.embed_dim) == (7, 28, stubs.TINY_DIM)
    assert found.text is not None
    assert found.text.blocks == 1
    assert found.activation.name == "QuickGELU"
    assert "open_clip_config.json" in found.activation.decided_by
    assert found.problems == ()
    assert found.parameters == sum(t.numel() for t in state.values())


def test_without_a_configuration_heads_and_activation_are_not_known(write, state):
    found = describe(write(dict(state), "epoch_3.safetensors"))
    assert found.config is None
    assert found.visual.heads is None
    assert found.activation.name is None
    assert found.problems == ()


@pytest.mark.parametrize(("said", "name"), [("true", "QuickGELU"), ("false", "GELU")])
def test_metadata_say_the_activation(write, state, said, name):
    found = describe(write(dict(state), "x.safetensors", {"quick_gelu": said}))
    assert (found.activation.name, found.activation.decided_by) == (name, "stated in the metadata of the file")


def test_extras_of_openai_are_a_guess_and_said_to_be_one(write, state):
    found = describe(write({**state, "input_resolution": torch.tensor(28)}, "x.safetensors"))
    assert found.activation.name == "QuickGELU"
    assert found.activation.decided_by.startswith("guessed")


def test_missing_tensors_are_a_problem_without_a_configuration_too(write, state):
    found = describe(write({n: t for n, t in state.items() if "ln_pre" not in n}, "x.safetensors"))
    assert "visual.ln_pre.weight" in found.problems[0]


def test_a_tower_alone_and_an_adapter_need_a_base(write, state, tmp_path):
    alone = describe(write({n: t for n, t in state.items() if n.startswith("visual.")}, "x.safetensors"))
    assert alone.problems == ("the visual tower alone: a base must be named with it",)
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 8, "base_model_name_or_path": "x/y"}))
    write({"base_model.model.q.lora_A.weight": torch.zeros(4, 8)}, "adapter/adapter_model.safetensors")
    found = describe(folder)
    assert found.layout == "peft adapter (LORA, rank 4, alpha 8) on 1 layers"
    assert found.metadata["base"] == "x/y"


def test_the_command_prints_the_same_facts_as_json(write, state):
    path = write(dict(state), "model.safetensors")
    printed = CliRunner().invoke(app, ["inspect", str(path), "--format", "json"])
    assert json.loads(printed.stdout)["sha256"] == describe(path).sha256
    for fmt in ("table", "csv"):
        assert "QuickGELU" in CliRunner().invoke(app, ["inspect", str(path), "--format", fmt]).stdout


def test_the_layouts_that_people_have_are_recognised_or_named(tmp_path, shared):
    """Every file that the collected cases write; those that cannot be a base as they are say why."""
    made = subprocess.run(
        [sys.executable, shared / SHARED_CASES, shared / "models"], cwd=tmp_path, capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr
    problems = {}
    for path in sorted(tmp_path.iterdir()):
        if path.suffix in (".pt", ".safetensors") and path.name != "nan.safetensors":
            problems[path.name] = " ".join(describe(path).problems)
    assert len(problems) >= 11
    assert "visual.ln_post" in problems.pop("hf_clip.safetensors")
    assert "visual tower alone" in problems.pop("visual_only.safetensors")
    assert set(problems.values()) == {""}
