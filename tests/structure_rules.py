"""The rules of the tree (docs/architecture.md) as functions of a package folder: each returns what breaks it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

STAGES = ("plan", "data", "model", "train", "probes", "store", "stats", "questions", "report", "cli", "api")
MEETING_PLACES = ("train", "cli", "api")
SHARED = (
    "argument_types",
    "answer",
    "base",
    "options",
    "tables",
    "selection",
    "pairs",
    "caveats",
    "claims",
    "margins",
    "outcomes",
    "page_choices",
    "frames",
    "argument_types",
    "presented",
    "model",  # the engine of any table: it declares no question
)  # what all questions may import
FILES = ("result", "analysis", "findings")
ON_A_PAGE = (
    "section.py",
    "contrast_blocks.py",
    "scatter.py",
    "drawn.py",
    "profile.py",
    "probability.py",
    "class_slopes.py",
    "variance.py",
    "calibration.py",
)  # may use the page kit


def imports(path: Path, *, typing_too: bool = True) -> set[str]:
    """Every module that a file names in an import, wherever it stands; without `typing_too` not under TYPE_CHECKING."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not typing_too:
        tree.body = [n for n in tree.body if not (isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test))]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def sibling_stages(package: Path) -> Iterator[str]:
    """A stage imports the top-level modules and itself, never a sibling; stages meet in train, cli and api.

    A section of a question puts an answer onto a page, so it may use the page kit; the report knows the registry.
    """
    for path in sorted(package.rglob("*/*.py")):
        stage, *_, name = path.relative_to(package).parts
        if stage not in STAGES or stage in MEETING_PLACES:
            continue
        allowed = {"questions"} if stage == "report" else set()
        if stage == "questions":
            allowed = {"stats", "report"} if name in ON_A_PAGE else {"stats"}
        for module in sorted(imports(path, typing_too=False)):
            parts = module.split(".")
            other = parts[1] if parts[0] == "heatdrift" and len(parts) > 1 and parts[1] in STAGES else stage
            if other != stage and other not in allowed:
                yield f"{path.relative_to(package)} imports {module}: a stage imports no sibling stage"


def question_files(package: Path) -> Iterator[str]:
    """A question is a folder with its files; a section where it has a place on a page."""
    for declared in sorted((package / "questions").glob("*/__init__.py")):
        folder, text = declared.parent, declared.read_text(encoding="utf-8")
        wanted = [*FILES, *(["section"] if "QUESTION" not in text or "place=" in text else [])]
        missing = [f"{name}.py" for name in wanted if not (folder / f"{name}.py").exists()]
        if missing:
            yield f"question {folder.name} lacks {', '.join(missing)}: a question is a folder with its files"


def other_questions(package: Path) -> Iterator[str]:
    """No question imports another."""
    for declared in sorted((package / "questions").glob("*/__init__.py")):
        name = declared.parent.name
        for path in sorted(declared.parent.rglob("*.py")):
            for module in sorted(imports(path)):
                parts = module.split(".")
                if parts[:2] == ["heatdrift", "questions"] and len(parts) > 2 and parts[2] not in (name, *SHARED):
                    yield f"{path.relative_to(package)} imports {module}: no question imports another"


def named_questions(package: Path) -> Iterator[str]:
    """The report reaches questions through the registry alone."""
    for path in sorted((package / "report").rglob("*.py")):
        for module in sorted(imports(path)):
            parts = module.split(".")
            if (
                parts[:2] == ["heatdrift", "questions"]
                and len(parts) > 2
                and parts[2] not in ("answer", "base", "outcomes", "QUESTIONS")
            ):
                yield (
                    f"{path.relative_to(package)} imports {module}: the report reaches questions through the registry"
                )


def arrays_only(package: Path) -> Iterator[str]:
    """The statistics engine takes arrays: it imports numpy, scipy, errors and itself."""
    for path in sorted((package / "stats").rglob("*.py")):
        for module in sorted(imports(path)):
            top, *rest = module.split(".")
            ours = top == "heatdrift" and (not rest or rest[0] in ("stats", "errors"))
            if not (ours or top in ("numpy", "scipy") or top in sys.stdlib_module_names):
                yield f"{path.relative_to(package)} imports {module}: stats takes arrays"


def long_modules(package: Path, most: int = 400) -> Iterator[str]:
    """No module is longer than 400 lines."""
    for path in sorted(package.rglob("*.py")):
        n = len(path.read_text(encoding="utf-8").splitlines())
        if n > most:
            yield f"{path.relative_to(package)} has {n} lines: no module is longer than {most}"


DECODERS = (
    *(
        "msgspec",
        "SafetensorError",
        "UnicodeDecodeError",
        "UnicodeError",
        "RecursionError",
        "MemoryError",
        "JSONDecodeError",
    ),
    *("TOMLDecodeError", "BadZipFile", "TarError", "LZMAError", "UnpicklingError", "PolarsError", "ArrowException"),
    *("ArrowInvalid", "sqlite3", "struct.error", "zlib.error", "UnidentifiedImageError", "BadGzipFile"),
)  # what decoders raise, by the words of it
OWN_TUPLES = {  # file -> why its tuple is not one of a file's decoder
    "questions/frames.py": "a frame of the caller's, in memory",
    "report/one_figure.py": "drawing",
    "train/rates.py": "a device",
    "model/weight_files.py": "writing",
    "methods/registry.py": "a record that was decoded",
}


def decoder_tuples(package: Path) -> Iterator[str]:
    """What decoders raise is not listed: a list is always too short. Files of others are read by ``decoding.py``."""
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if name == "decoding.py" or name in OWN_TUPLES:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            caught = node.type if isinstance(node, ast.ExceptHandler) else node
            if isinstance(caught, ast.Tuple) and len(caught.elts) > 1:
                words = [ast.unparse(one) for one in caught.elts]
                if all(_names_an_exception(word) for word in words) and any(d in w for d in DECODERS for w in words):
                    yield f"{name} lists what a decoder raises ({', '.join(words)}): use heatdrift.decoding"


def _names_an_exception(word: str) -> bool:
    return word.replace(".", "").replace("_", "").isalnum() and word.endswith(("Error", "error", "Exception", "File"))


RULES = (decoder_tuples, sibling_stages, question_files, other_questions, named_questions, arrays_only, long_modules)
