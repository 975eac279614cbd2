"""Primary questions in study files: what may be asked, and what is refused with the nearest name."""

import pytest

from heatdrift.errors import StudyError, UnknownNameError
from heatdrift.plan.study import load_study
from heatdrift.primary import PREPRINT, PrimarySpec, QuestionsSpec, check_questions, normal_term


@pytest.fixture
def study_file(tmp_path):
    def write(questions):
        text = "\n".join(line for line in _DEMO.splitlines())
        path = tmp_path / "own.toml"
        path.write_text(f"{text}\n{questions}\n", encoding="utf-8")
        return str(path)

    return write


_DEMO = """
name = "own"
protocol = "leakfree"
[backbone]
name = "lab"
[train]
epochs = 1
batch_size = 8
data_seed = 1
[datasets.terrain]
train = "lab:terrain-train"
test = "lab:terrain-test"
sizes = { train = 2, val = 1, probe = 1 }
[grid]
dataset = ["terrain"]
method = ["full_ft", "lora_r8"]
lr = [1e-4]
seed = [1, 2]
"""


def test_a_study_file_names_its_primary_questions(study_file):
    study = load_study(
        study_file("""
[questions]
adjust = "holm"
margin = 2.5
[[questions.primary]]
metric = "retention_pct"
term = "method:lr"
[[questions.primary]]
metric = "retention_pct"
term = "correlation"
against = "cka"
""")
    )
    assert study.questions.adjust == "holm"
    assert study.questions.margin == 2.5
    assert [normal_term(q.term) for q in study.questions.primary] == ["lr:method", "correlation"]


def test_without_any_the_preprints_are_asked(study_file):
    assert load_study(study_file("")).questions == QuestionsSpec()
    assert [(q.metric, q.term) for q in PREPRINT] == [
        ("retention_pct", "method"), ("delta_entropy_pct", "lr"), ("test_acc_pct", "lr:method"),
        ("retention_pct", "correlation"),
    ]  # fmt: skip
    check_questions(QuestionsSpec(primary=PREPRINT), "here")


def question(**fields):
    return QuestionsSpec(primary=(PrimarySpec(**fields),))


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        (question(metric="retention_pc", term="method"), UnknownNameError, "retention_pct"),
        (question(metric="retention_pct", term="methd"), UnknownNameError, "method"),
        (question(metric="retention_pct", term="lr:seed"), UnknownNameError, "lr:"),
        (question(metric="retention_pct", term="lr:lr"), UnknownNameError, "lr:"),
        (question(metric="retention_pct", term="correlation"), StudyError, "against"),
        (question(metric="retention_pct", term="correlation", against="retention_pct"), StudyError, "against"),
        (question(metric="retention_pct", term="correlation", against="ckaa"), UnknownNameError, "cka"),
        (question(metric="retention_pct", term="lr", against="cka"), StudyError, "against"),
        (QuestionsSpec(margin=0.0), StudyError, "margin"),
        (QuestionsSpec(margin=-1.0), StudyError, "margin"),
        (QuestionsSpec(margin=float("nan")), StudyError, "margin"),
        (QuestionsSpec(primary=(PREPRINT[0], PREPRINT[0])), StudyError, "once"),
    ],
)
def test_a_question_that_nothing_can_answer_is_refused(asked, error, said):
    with pytest.raises(error) as refused:
        check_questions(asked, "own.toml")
    assert said in str(refused.value.hint)


def test_a_mistyped_key_names_the_nearest(study_file):
    with pytest.raises(StudyError) as refused:
        load_study(study_file('[[questions.primary]]\nmetrik = "cka"\nterm = "lr"'))
    assert "did you mean 'metric'" in str(refused.value.hint)
