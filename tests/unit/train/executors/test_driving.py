"""The leading process of a cluster: lost workers are tried again, exceptions are not, claims are given back."""

import time
from dataclasses import dataclass, field

import pytest
from stubs import find_records

from heatdrift import provenance
from heatdrift.cli.workspace import planned_cells
from heatdrift.errors import TrainError
from heatdrift.plan.study import load_study
from heatdrift.store.claims import claim
from heatdrift.store.folder import cell_folder, encode_record, read_record, write_record
from heatdrift.train.executors.driving import Driver, WorkerLostError
from heatdrift.train.executors.packed import Packed, pack
from heatdrift.train.interrupt import LeadingInterruption
from heatdrift.train.status import cell_states
from heatdrift.train.worker import Ended, EpochDone, Noted, Stopped, WorkerSettings, failed_record


@pytest.fixture(scope="module")
def study(tiny_inputs):
    return load_study(str(tiny_inputs / "study.toml"))


@pytest.fixture(scope="module")
def cells(study, tiny_inputs):
    return planned_cells(study, tiny_inputs)[:4]


@dataclass
class Machines:
    """A cluster in this process: what becomes of a cell is read from `script` (cell id -> outcomes, the last stays)."""

    settings: WorkerSettings
    work: object
    script: dict[str, list[object]] = field(default_factory=dict)
    rooms: int = 2
    said: list[object] = field(default_factory=list)
    cancelled: list[object] = field(default_factory=list)
    most: int = 0
    started: list[str] = field(default_factory=list)

    def room(self):
        return self.rooms

    def need(self):
        return "no node has room for 1 GPU"

    def start(self, cell):
        self.started.append(cell.cell_id)
        return (cell, len(self.started))

    def ended(self, handles, timeout_s):
        self.most = max(self.most, len(handles))
        return handles[:1]

    def result(self, handle):
        cell, _ = handle
        outcomes = self.script.get(cell.cell_id, ["failed"])
        outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
        if isinstance(outcome, BaseException):
            raise outcome
        if isinstance(outcome, Stopped):
            return outcome
        record = failed_record(cell, self.settings.study.name, self.settings.provenance, f"ValueError: {outcome}")
        folder = cell_folder(self.work, self.settings.study.name, cell.cell_id)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "record.json").write_bytes(encode_record(record))
        packed = pack(folder, Ended(cell=cell, status="failed", error=record.error))
        if outcome == "damaged":
            return Packed(ended=packed.ended, files=())
        return packed

    def events(self):
        taken, self.said = self.said, []
        return taken

    def cancel(self, handles):
        self.cancelled = list(handles)


@pytest.fixture
def machines(study, tiny_inputs, tmp_path):
    settings = WorkerSettings(
        study=study,
        store_folder=str(tmp_path / "runs"),
        data_folder=str(tiny_inputs),
        device="cpu",
        threads=1,
        provenance=provenance.collect(),
    )
    return Machines(settings, tmp_path / "work")


def drive(machines, cells, seen=None, **options):
    events = []
    driver = Driver(cluster=machines, settings=machines.settings, on_event=events.append, **options)
    return driver.run(cells, seen), events


def test_a_lost_worker_is_tried_again_and_an_exception_is_not(machines, cells):
    machines.script = {
        cells[0].cell_id: [WorkerLostError("killed"), "damaged", "failed"],
        cells[1].cell_id: ["failed"],
    }
    counts, events = drive(machines, cells[:2])
    assert counts == {"failed": 2}
    assert sorted(machines.started) == sorted([cells[0].cell_id] * 3 + [cells[1].cell_id])
    said = [event.text for event in events if isinstance(event, Noted)]
    assert ["(killed); try 2 of 4" in said[0], "has no record); try 3 of 4" in said[1]] == [True, True]
    assert len(said) == 2


def test_a_cell_that_loses_every_worker_is_recorded_as_failed(machines, cells, tmp_path):
    machines.script = {cells[0].cell_id: [WorkerLostError("node died")]}
    counts, _ = drive(machines, cells[:1], retries=2)
    assert counts == {"failed": 1}
    assert len(machines.started) == 3
    (record,) = (read_record(path) for path in find_records(tmp_path / "runs"))
    assert record.error == "its worker was lost 3 times, at last: node died"
    assert not list(tmp_path.rglob("running.json"))


def test_every_cell_that_is_out_is_claimed_and_a_claimed_one_is_left_alone(machines, cells, study, tmp_path):
    states = []

    def note(event):
        found = cell_states(cells, study=study.name, store_folder=tmp_path / "runs")
        states.append([state.status for state in found])

    with claim(cell_folder(tmp_path / "runs", study.name, cells[3].cell_id)):
        counts = Driver(cluster=machines, settings=machines.settings, on_event=note, at_once=2).run(cells)
    assert counts == {"failed": 3, "busy": 1}
    assert machines.most == 2
    assert states[0] == ["failed", "running", "planned", "running"]


def test_what_another_process_finished_since_is_not_run(machines, cells, study, tmp_path):
    record = failed_record(cells[0], study.name, machines.settings.provenance, "x")
    write_record(record, tmp_path / "runs")
    assert drive(machines, cells[:1], seen={cells[0].cell_id: 1})[0] == {"failed": 1}  # failed ones are
    assert machines.started == [cells[0].cell_id]


def test_what_no_cell_gets_past_ends_all(machines, cells, tmp_path):
    machines.script = {cells[0].cell_id: [Stopped(message="on n1: there is no file x", hint="put it there")]}
    with pytest.raises(TrainError, match="on n1: there is no file x"):
        drive(machines, cells)
    assert len(machines.cancelled) == 3  # two fit, one waits; the first is still in hand when all are ended
    assert not list(tmp_path.rglob("running.json"))
    assert find_records(tmp_path / "runs") == []


def test_cells_that_fit_nowhere_are_an_error_and_not_an_endless_wait(machines, cells):
    machines.rooms = 0
    machines.ended = lambda handles, timeout_s: time.sleep(0.02) or ()
    with pytest.raises(TrainError, match="no node has room for 1 GPU"):
        drive(machines, cells, room_within_s=0.05)
    assert len(machines.cancelled) == 1  # one waits, for clusters that grow on demand


def test_a_request_for_the_end_gives_back_what_is_out_and_begins_nothing(machines, cells, tmp_path):
    events, interruption = [], LeadingInterruption()
    interruption.lead()

    def ask_at_the_first_end(event):
        events.append(event)
        interruption.hear("SIGTERM")

    counts = Driver(cluster=machines, settings=machines.settings, on_event=ask_at_the_first_end).run(
        cells, None, interruption
    )
    assert counts == {"failed": 1, "interrupted": 2}  # two fit and one waits
    assert len(machines.started) == 3
    assert {event.error for event in events if event.status == "interrupted"} == {"SIGTERM"}
    assert not list(tmp_path.rglob("running.json"))


def test_last_words_of_a_lost_worker_do_not_count(machines, cells):
    machines.said = [EpochDone(cell=cells[3], epoch=1), EpochDone(cell=cells[0], epoch=1), Noted(text="graph")]
    _, events = drive(machines, cells[:1])
    assert [type(event) for event in events] == [EpochDone, Noted, Ended]
