"""Which study, which store, which data folder: option, study file, heatdrift.toml, environment, default."""

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from heatdrift.config import DEFAULT_STORE, BackboneSpec, Settings, SourceSpec, StudySpec, load_settings, user_cache
from heatdrift.decoding import or_none, read_whole
from heatdrift.errors import StoreError, StudyError, UnknownNameError
from heatdrift.plan.cells import plan_cells
from heatdrift.plan.study import builtin_studies, load_study
from heatdrift.primary import QuestionsSpec
from heatdrift.records import Cell

if TYPE_CHECKING:
    import duckdb

PUBLISHED: Final = "preprint80"  # what `train` runs when no study is named


class KeptPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A study and its cells as they were when training last started: ``<store folder>/<study>/plan.json``.

    Reports compare what is there with what was planned, without the study file, the images or the weights at hand.
    `file` and `data_dir` are the study file and the ``--data-dir`` that were named, relative to the store folder; None
    for a built-in study and where no folder was named.
    """

    study: StudySpec
    cells: tuple[Cell, ...]
    file: str | None = None
    data_dir: str | None = None


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
            from heatdrift.store.second_store import refuse_second_store

            refuse_second_store(chosen)
        return cls(settings=settings, store=chosen)

    @property
    def crop_folder(self) -> Path | None:
        """Folder of decoded pictures: cache_dir of heatdrift.toml, HEATDRIFT_CACHE, or the user's cache; None = off."""
        folder = user_cache(self.settings.cache_dir)
        return folder / "crops" if folder else None

    @property
    def store_folder(self) -> Path:
        """Folder of the records, with the database in it."""
        return self.store.parent

    def study(self, option: str | None) -> StudySpec:
        """The study to plan or train: that of a file, a built-in one, or a trained one whose file is still there.

        StudyError when none is named anywhere; UnknownNameError for a name of nothing.
        """
        name = self._source(option)
        if name is None:
            raise StudyError(
                "no study named",
                hint='--study demo (needs no download), --study FILE.toml, or study = "FILE.toml" in heatdrift.toml',
            )
        return load_study(name)

    def _source(self, option: str | None) -> str | None:
        """What ``load_study`` can read: the option or the default, a trained study's name replaced by its file."""
        name = option or self.settings.study
        if name is None or name.endswith(".toml") or name in builtin_studies():
            return name
        kept = self.kept_plan(name)
        if kept is None:
            raise UnknownNameError("study", name, {*self.studies(), *builtin_studies()})
        file = os.path.relpath(self.store_folder / kept.file) if kept.file else None
        if file is None or not Path(file).is_file():
            problem = f"study {name} was trained from a file that is not there any more"
            raise StudyError(f"{problem}: {file}" if file else problem, hint="name its file: --study FILE.toml")
        return file

    def stored_study(self, connection: "duckdb.DuckDBPyConnection", option: str | None) -> str:
        """Name of the study whose runs a command reads: the option's, the default's, or the only one of the store.

        Raises
        ------
        StoreError : the store has no run of it, or several studies and none is named.
        UnknownNameError : there is no such study, neither here nor built in.
        """
        from heatdrift.cli.advice import train_command
        from heatdrift.store.read import resolve_study, studies

        wanted, known = option or self.settings.study, studies(connection)
        name = study_name(wanted, known)
        if wanted is None or name in known:
            return resolve_study(connection, name)
        has = f"it has {', '.join(known)}" if known else "it is empty"
        raise StoreError(f"the store has no runs of study {name} ({has})", hint=train_command(wanted))

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
        name = self._source(study_option) or ""
        near = Path(name).parent if name.endswith(".toml") else Path()
        if data_dir is not None:
            return data_dir
        if study.data_dir is not None:
            return near / study.data_dir
        return Path(self.settings.data_dir) if self.settings.data_dir else near

    def keep_plan(
        self, study: StudySpec, cells: tuple[Cell, ...], option: str | None = None, data_dir: Path | None = None
    ) -> None:
        """Write down what training set out to do, and the options that named it."""
        from heatdrift.store.files import write_bytes
        from heatdrift.store.folder import cell_folder

        path = cell_folder(self.store_folder, study.name, "x").parent / "plan.json"
        name = self._source(option)
        file = self._from_store(Path(name)) if name is not None and name.endswith(".toml") else None
        folder = self._from_store(data_dir) if data_dir is not None else None
        write_bytes(path, msgspec.json.encode(KeptPlan(study=study, cells=cells, file=file, data_dir=folder)))

    def _from_store(self, path: Path) -> str | None:
        """`path` relative to the store folder, so that both can be moved together; None on another drive."""
        try:
            return Path(os.path.relpath(path, self.store_folder)).as_posix()
        except ValueError:
            return None

    def questions(self, study: str, option: str | None) -> QuestionsSpec:
        """Return what a study of the store asks: its file if that is named, else as it was trained, else built in."""
        if option is not None and option.endswith(".toml"):
            return load_study(option).questions
        kept = self.kept_plan(study)
        if kept is not None:
            return kept.study.questions
        return load_study(study).questions if study in builtin_studies() else QuestionsSpec()

    def studies(self) -> tuple[str, ...]:
        """Names of the studies that have a kept plan in the store folder."""
        return tuple(sorted(path.parent.name for path in self.store_folder.glob("*/plan.json")))

    def kept_plan(self, study: str) -> KeptPlan | None:
        """What :meth:`keep_plan` wrote; None for imported studies, and for a plan this heatdrift cannot read."""
        path = self.store_folder / study / "plan.json"
        return or_none(lambda: msgspec.json.decode(read_whole(path), type=KeptPlan))


def study_name(option: str | None, known: Collection[str]) -> str | None:
    """Name of the study that ``--study`` names: one of `known` (the store's), else that in a file, else a built-in one.

    Raises
    ------
    StudyError : a study file that is not there or says something wrong.
    UnknownNameError : neither; the nearest of the store's and the built-in names is offered.
    """
    if option is None or option in known or option in builtin_studies():
        return option
    if option.endswith(".toml"):
        return load_study(option).name
    raise UnknownNameError("study", option, {*known, *builtin_studies()})


def planned_cells(study: StudySpec, folder: Path) -> tuple[Cell, ...]:
    """All cells of a study; hashes come from the study file where it pins them, else from the files in `folder`."""
    from heatdrift.data.names_file import is_names_file, names_file_identity
    from heatdrift.data.sources import source_sha256
    from heatdrift.model.identity import backbone_crops, backbone_depth, backbone_sha256

    known: dict[SourceSpec, str] = {}

    def source_hash(spec: SourceSpec) -> str:
        if spec not in known:
            known[spec] = source_sha256(spec, folder)
        return known[spec]

    def backbone_hash(spec: BackboneSpec) -> str:
        return backbone_sha256(spec, folder)

    return plan_cells(
        study,
        source_hash=source_hash,
        backbone_hash=backbone_hash,
        backbone_depth=lambda spec: backbone_depth(spec, folder),
        backbone_crops=backbone_crops,
        names_identity=lambda key: names_file_identity(key, folder) if is_names_file(key) else key,
    )


def missing_inputs(study: StudySpec, folder: Path) -> tuple[str, ...]:
    """Names of the weights and sources of a study that are not in `folder` or the caches; nothing is hashed."""
    from heatdrift.data.sources import missing_source
    from heatdrift.model.download import where_weights

    missing = [] if where_weights(study.backbone, folder) else [study.backbone.name]
    sources = [source for dataset in study.datasets.values() for source in dataset.sources.values()]
    sources += [transfer.test_source for transfer in study.transfer.values()]
    sources += study.unlabelled_sources.values()
    return (*missing, *(source.source for source in sources if missing_source(source, folder)))
