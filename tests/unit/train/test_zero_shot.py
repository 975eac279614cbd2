import json

import numpy as np
import pytest
import stubs
import torch
from typer.testing import CliRunner

from heatdrift.cli.main import app
from heatdrift.data.prompts import TEMPLATES
from heatdrift.errors import DataError, ModelError, UnknownNameError
from heatdrift.model.activation import activation_of, with_activation
from heatdrift.model.checkpoints import open_base
from heatdrift.train.external import measure
from heatdrift.train.zero_shot import evaluate
from heatdrift.train.zero_shot_result import ALL, YOURS
from heatdrift.train.zero_shot_setup import FACTORS, OPENAI, SetUp, differences

CLASSES = 5
STUDY = """
name = "theirs"
protocol = "leakfree"
backbone = { name = "ViT-B-32/laion2b_s34b_b79k" }
[preprocess]
interpolation = "bilinear"
[train]
epochs = 1
batch_size = 8
data_seed = 1
[datasets.a]
train = "lab:terrain/train"
test = "lab:terrain/test"
sizes = { train = 2, val = 2, probe = 2 }
[transfer.elsewhere]
test = "hf:someone/colours/test"
class_names = "ten.txt"
[transfer.colours]
test = "hf:someone/colours/test"
template = ["a {}.", "the {}."]
class_names = "words.txt"
underscores = true
[grid]
dataset = ["a"]
method = ["full_ft"]
lr = [1e-5]
seed = [1]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A base, a model adapted from it, a labelled set of larger pictures, and a study that published its set-up."""
    folder = tmp_path_factory.mktemp("zero_shot")
    stubs.write_tiny_backbone(folder)
    stubs.write_image_parquet(folder / "colours.parquet", classes=CLASSES, per_class=8, size=41, seed=0)
    state = stubs.tiny_clip().state_dict()
    for name in (n for n in state if n.startswith("visual.transformer") and state[n].ndim == 2):
        state[name].add_(0.2 * torch.randn(state[name].shape, generator=torch.Generator().manual_seed(len(name))))
    torch.save({"epoch": 3, "state_dict": state}, folder / "tuned.pt")
    (folder / "words.txt").write_text("red_thing\nyellow\ngreen\nblue\nviolet\n")
    (folder / "ten.txt").write_text("".join(f"word {i}\n" for i in range(10)))
    (folder / "prompts.txt").write_text("a {} thing.\nthe {} thing.\n\n")
    (folder / "theirs.toml").write_text(STUDY)
    return folder


@pytest.fixture
def at(place, monkeypatch):
    monkeypatch.chdir(place)
    return place


def evaluated(**options):
    return evaluate("tiny.safetensors", "colours.parquet", **options)


def test_zero_shot_is_that_of_measure(at):
    found = evaluated(adapted="tuned.pt")
    other = measure("tiny.safetensors", "tuned.pt", transfer="colours.parquet").result.transfer
    base, adapted = found.models
    assert (base.accuracy_pct, adapted.accuracy_pct) == (other.base_pct, other.adapted_pct)
    assert adapted.retention_pct == pytest.approx(other.retention_pct)
    assert base.ci_low < base.accuracy_pct < base.ci_high
    assert (found.changes, found.differing, found.n_classes) == ((), (), CLASSES)


@pytest.fixture(scope="module")
def compared(place):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        return evaluated(adapted="tuned.pt", published="theirs.toml", precision="bfloat16")


def test_what_differs_is_named_in_words(compared):
    said = {d.factor: (d.yours, d.published) for d in compared.differing}
    assert compared.published == "theirs/colours"
    assert said["interpolation"] == ("bicubic", "bilinear")
    assert said["templates"] == ("'a photo of a {}.'", "2 templates, the first 'a {}.'")
    assert said["names"] == (
        "5 of 5: 'colour 0', 'colour 1', 'colour 2', ...",
        "5 of 5: 'red_thing', 'yellow', 'green', ...",
    )
    assert said["activation"] == ("quick_gelu", "gelu")
    assert said["precision"] == ("bfloat16", "float32")
    assert said["model"] == ("tiny", "ViT-B-32/laion2b_s34b_b79k")
    assert "antialias" not in said
    assert {d.factor for d in compared.differing if not d.evaluated} == {"model", "images"}


def test_each_change_alone_is_what_asking_for_it_gives(compared, at):
    asked = {
        "interpolation": {"interpolation": "bilinear"},
        "names": {"classes": "words.txt", "underscores": True},
        "activation": {"activation": "gelu"},
        "precision": {"precision": "float32"},
    }
    for factor, option in asked.items():
        alone = evaluated(adapted="tuned.pt", **{"precision": "bfloat16", **option})
        row = [r for r in compared.changes if r.factor == factor]
        assert [r.accuracy_pct for r in row] == [m.accuracy_pct for m in alone.models], factor
        assert [r.retention_pct for r in row] == [m.retention_pct for m in alone.models], factor


def test_all_changes_together_are_the_published_set_up(compared, at):
    (at / "two.txt").write_text("a {}.\nthe {}.\n")
    whole = evaluated(
        adapted="tuned.pt", published="theirs.toml", interpolation="bilinear", templates="two.txt",
        classes="words.txt", underscores=True, activation="gelu",
    )  # fmt: skip
    together = [r for r in compared.changes if r.factor == ALL]
    assert [r.accuracy_pct for r in together] == [m.accuracy_pct for m in whole.models]
    assert [d.factor for d in whole.differing if d.evaluated] == []
    assert "Nothing that decides a prediction differs from theirs/colours." in whole.sentences


def test_counts_of_images_and_points_agree(compared):
    assert len(compared.changes) == 2 * 6
    for row in compared.changes:
        assert row.change == pytest.approx(100 * (row.gained - row.lost) / row.n_images)
        assert row.lost + row.gained <= row.changed <= row.n_images
        assert row.change_low <= row.change <= row.change_high
    assert any(row.changed for row in compared.changes)
    mine = {m.model: m.accuracy_pct for m in compared.models}
    assert all(row.accuracy_pct == pytest.approx(mine[row.model] + row.change) for row in compared.changes)


def test_names_of_other_classes_are_not_taken(at):
    found = evaluated(published="preprint80")
    assert "names" not in {d.factor for d in found.differing}
    assert "class names of preprint80/cifar100 (cifar100/hub) are of other classes" in " ".join(found.notes)


def test_prompts_that_do_not_fit_the_text_tower_are_a_note_and_the_rest_is_measured(at):
    (at / "long.toml").write_text(STUDY.replace('["a {}.", "the {}."]', f'"{"very " * 20}{{}}"'))
    found = evaluated(published="long.toml")
    assert {r.factor for r in found.changes} == {"interpolation", "names", "activation"}
    assert sum("cannot be evaluated" in note for note in found.notes) == 1
    assert found.notes[0].startswith("templates as published cannot be evaluated: different class names give the same")
    with pytest.raises(ModelError, match="different class names"):
        evaluated(templates=f"{'very ' * 20}{{}}")


@pytest.mark.parametrize(
    ("templates", "name", "n"),
    [
        ("openai_imagenet", "openai/imagenet80", 80),
        ("openai/imagenet7", "openai/imagenet7", 7),
        ("OpenAI-CIFAR", "openai/cifar18", 18),
        ("prompts.txt", "prompts.txt", 2),
        ("a {}.", "a {}.", 1),
    ],
)
def test_templates_are_a_prompt_a_list_or_a_file(at, templates, name, n):
    found = evaluated(templates=templates).set_up
    assert (found.prompt, len(found.templates)) == (name, n)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"templates": "openai/imagent80"}, UnknownNameError, "did you mean 'openai/imagenet80'"),
        ({"templates": "nowhere.txt"}, DataError, "one template a line"),
        ({"templates": "words.txt"}, DataError, "one template a line"),
        ({"interpolation": "lanczos"}, UnknownNameError, "bicubic, bilinear"),
        ({"activation": "relu"}, UnknownNameError, "gelu, quick_gelu"),
        ({"precision": "int8"}, UnknownNameError, "bfloat16, float16, float32"),
        ({"published": "preprint8"}, UnknownNameError, "did you mean 'preprint80'"),
        ({"published": "demo"}, Exception, "openai"),
        ({"classes": "ten.txt"}, DataError, "name for each class"),
        ({"classes": "cifar100/1"}, DataError, "names file"),
    ],
)
def test_what_there_is_not_is_refused_with_a_hint(at, options, error, said):
    with pytest.raises(error) as caught:
        evaluated(**options)
    assert said in caught.value.hint


def test_the_other_activation_changes_both_towers_and_no_weight(place):
    base = open_base("tiny.safetensors", config=None, folder=place, device=torch.device("cpu"))
    other = with_activation(base, "gelu")
    assert (activation_of(base), activation_of(other)) == ("quick_gelu", "gelu")
    assert with_activation(base, "quick_gelu") is base
    mine, theirs = base.clip.state_dict(), other.clip.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    pixels = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert not torch.equal(base.visual(pixels), other.visual(pixels))
    words = ("cat", "dog")
    assert not torch.equal(base.class_embeddings(words, "a {}."), other.class_embeddings(words, "a {}."))
    again = with_activation(other, "quick_gelu")
    with torch.inference_mode():
        assert torch.equal(base.visual(pixels), again.visual(pixels))


def test_every_factor_is_a_field_with_words_and_openais_lists_are_released():
    one = SetUp(
        interpolation="bicubic", antialias=True, templates=("a {}.",), prompt="a {}.", names=("x", "y"),
        activation="gelu",
    )  # fmt: skip
    other = SetUp(
        interpolation="bilinear", antialias=False, templates=("b {}.",), prompt="b {}.", names=("x", "z"),
        activation="quick_gelu", precision="float16",
    )  # fmt: skip
    assert tuple(d.factor for d in differences(one, other)) == FACTORS
    assert differences(one, one) == ()
    changed = one
    for factor in FACTORS:
        changed = changed.with_factor(factor, other)
    assert changed == other
    assert all(published.template in TEMPLATES for published in OPENAI.values())


def test_the_command_prints_tables_json_and_csv(at):
    given = ["evaluate", "--model", "tiny.safetensors", "--transfer", "colours.parquet", "--published", "theirs.toml"]
    table = CliRunner().invoke(app, given)
    assert table.exit_code == 0, table.output
    assert "What differs" in table.stdout
    assert "As theirs/colours is set up (interpolation, templates, names and activation changed), tiny has" in " ".join(
        table.stdout.split()
    )
    found = json.loads(CliRunner().invoke(app, [*given, "--format", "json"]).stdout)
    assert [row["factor"] for row in found["changes"]][-1] == ALL
    assert found["set_up"]["interpolation"] == "bicubic"
    lines = CliRunner().invoke(app, [*given, "--format", "csv"]).stdout.splitlines()
    assert lines[0].startswith("model,factor,accuracy_pct,ci_low,ci_high,change")
    assert lines[1].startswith(f"tiny,{YOURS},")
    assert len(lines) == 1 + 1 + len(found["changes"])


def test_the_base_may_be_named_as_measure_names_it_and_a_wrong_file_is_an_error(at):
    done = CliRunner().invoke(app, ["evaluate", "--base", "words.txt", "--transfer", "colours.parquet"])
    assert isinstance(done.exception, ModelError)
    assert np.isfinite(evaluated(n_transfer=10).models[0].accuracy_pct)
