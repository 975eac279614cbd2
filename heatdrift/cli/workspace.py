"""Which study, which store, which data folder: option, study file, heatdrift.toml, environment, default."""

from pathlib import Path
from typing import Final

import msgspec

from heatdrift.config import DEFAULT_STORE, BackboneSpec, Settings, SourceSpec, StudySpec, load_settings
from heatdrift.errors import StudyError
from heatdrift.plan.cells import as_source, plan_cells
from heatdrift.plan.study import load_study
from heatdrift.records import Cell

PUBLISHED: Final = "preprint80"  # what `train` runs when no study is named


class KeptPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A study and its cells as they were when training last started: ``<store folder>/<study>/plan.json``.

    Reports compare what is there with what was planned, without the study file, the images or the weights at hand.
    """

    study: StudySpec
    cells: tuple[Cell, ...]


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """Resolved places of one command."""

    settings: Settings
    store: Path

    @classmethod
    def of(cls, store: Path | None) -> "Workspace":
        """Read heatdrift.toml of the current folder and the environment; `store` is the command's option.

        StoreError where the store is not there and its folder belongs to another one: before anything is trained.
        """
        settings = load_settings(Path.cwd())
        chosen = store or (Path(settings.store) if settings.store else DEFAULT_STORE)
        if not chosen.exists() and any(chosen.parent.glob("*.duckdb")):
            from heatdrift.store.neighbours import refuse_second_store

            refuse_second_store(chosen)
        return cls(settings=settings, store=chosen)

    @property
    def store_folder(self) -> Path:
        """Folder of the records, beside the database."""
        return self.store.parent

    def study(self, option: str | None) -> StudySpec:
        """The study to plan or train; StudyError when none is named anywhere."""
        name = option or self.settings.study
        if name is None:
            raise StudyError(
                "no study named",
                hint='--study demo (needs no download), --study FILE.toml, or study = "FILE.toml" in heatdrift.toml',
            )
        return load_study(name)

    def study_to_train(self, option: str | None, data_dir: Path | None) -> StudySpec:
        """The named study, else the published matrix if all that it needs is at hand; StudyError otherwise."""
        if option or self.settings.study:
            return self.study(option)
        published = load_study(PUBLISHED)
        if missing_inputs(published, self.data_folder(published, None, data_dir)):
            hint = f"--study demo (needs no download), --study FILE.toml, or first: heatdrift fetch --study {PUBLISHED}"
            raise StudyError(f"no study named, and what {PUBLISHED} needs is not all here", hint=hint)
        return published

    def data_folder(self, study: StudySpec, study_option: str | None, data_dir: Path | None) -> Path:
        """Folder that the study's relative paths start from."""
        name = study_option or self.settings.study or ""
        beside = Path(name).parent if name.endswith(".toml") else Path()
        if data_dir is not None:
            return data_dir
        if study.data_dir is not None:
            return beside / study.data_dir
        return Path(self.settings.data_dir) if self.settings.data_dir else beside

    def keep_plan(self, study: StudySpec, cells: tuple[Cell, ...]) -> None:
        """Write down what training set out to do."""
        from heatdrift.store.files import write_bytes
        from heatdrift.store.folder import cell_folder

        path = cell_folder(self.store_folder, study.name, "x").parent / "plan.json"
        write_bytes(path, msgspec.json.encode(KeptPlan(study=study, cells=cells)))

    def studies(self) -> tuple[str, ...]:
        """Names of the studies that have a kept plan in the store folder."""
        return tuple(sorted(path.parent.name for path in self.store_folder.glob("*/plan.json")))

    def kept_plan(self, study: str) -> KeptPlan | None:
        """What :meth:`keep_plan` wrote; None for imported studies, and for a plan this heatdrift cannot read."""
        path = self.store_folder / study / "plan.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=KeptPlan)
        except (OSError, msgspec.MsgspecError, StudyError):
            return None


def planned_cells(study: StudySpec, folder: Path) -> tuple[Cell, ...]:
    """All cells of a study; hashes come from the study file where it pins them, else from the files in `folder`."""
    from heatdrift.data.sources import source_sha256
    from heatdrift.model.identity import backbone_sha256

    known: dict[SourceSpec, str] = {}

    def source_hash(spec: SourceSpec) -> str:
        if spec not in known:
            known[spec] = source_sha256(spec, folder)
        return known[spec]

    def backbone_hash(spec: BackboneSpec) -> str:
        return backbone_sha256(spec, folder)

    return plan_cells(study, source_hash=source_hash, backbone_hash=backbone_hash)


def missing_inputs(study: StudySpec, folder: Path) -> tuple[str, ...]:
    """Names of the weights and sources of a study that are not in `folder` or the caches; nothing is hashed."""
    from heatdrift.data.sources import missing_source
    from heatdrift.model.download import where_weights

    missing = [] if where_weights(study.backbone, folder) else [study.backbone.name]
    sources = [source for d in study.datasets.values() for source in (d.train, d.test)]
    sources += [transfer.test for transfer in study.transfer.values()]
    return (*missing, *(s.source for s in map(as_source, sources) if missing_source(s, folder)))
