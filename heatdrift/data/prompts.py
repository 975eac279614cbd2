"""Prompts: the templates of a transfer set, released lists of them, and class names that no text tower knows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heatdrift.data.images import listed
from heatdrift.data.released_templates import TEMPLATES
from heatdrift.decoding import decoding, read_whole
from heatdrift.errors import DataError, UnknownNameError

_AS_A_NUMBER: Final = re.compile(r"(class|label|category|cls|id|c|lbl)?[\s_#:.-]*\d+", re.IGNORECASE)
_WORDNET: Final = re.compile(r"n\d{8}")
_HEX: Final = re.compile(r"(?=.*\d)[0-9a-f]{8,}(-[0-9a-f]{4,})*")  # hashes and UUIDs
_WHAT_TO_GIVE: Final = (
    'give words: class_names = "names.csv" (number or name of the source, words), a released list, or a column '
    "label_name in the Parquet file"
)


def doubtful(name: str) -> bool:
    """Whether a class name is a number, "class 0", or an id: words that a text tower has no picture of."""
    return any(pattern.fullmatch(name.strip()) is not None for pattern in (_AS_A_NUMBER, _WORDNET, _HEX))


def name_caution(transfer_set: str, names: Sequence[str], template: str | Sequence[str]) -> str | None:
    """Return a warning, with what to give, where prompts would hold numbers or ids instead of words; else None.

    Such prompts give a zero-shot accuracy near chance, and retention of nothing.
    """
    wrong = [name for name in names if doubtful(name)]
    if not wrong:
        return None
    first = (template if isinstance(template, str) else template[0]).replace("{}", wrong[0])
    many = f"{len(wrong)} of {len(names)} class names are" if len(wrong) < len(names) else "its class names are"
    return (
        f"{transfer_set}: {many} no words but numbers or ids ({listed(map(repr, wrong))}), so a prompt would say "
        f"{first!r}; {_WHAT_TO_GIVE}"
    )


def templates_of(template: str | Sequence[str]) -> tuple[str, ...]:
    """Return the templates of a transfer set: one, several, or those of a released list.

    Raises
    ------
    UnknownNameError : a text without {} is the name of a list, and there is none of that name.
    DataError : one of several has no place for the class name.
    """
    if isinstance(template, str):
        if "{" in template:
            return (template,)
        if template not in TEMPLATES:
            raise UnknownNameError("template", template, TEMPLATES, where="(a prompt of your own needs one {})")
        return TEMPLATES[template]
    placeless = [text for text in template if "{" not in text]
    if placeless:
        raise DataError(f"template {placeless[0]!r} has no {{}}", hint="write one {} where the class name goes")
    return tuple(template)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """Templates that were asked for: `name` is the prompt itself, the name of a released list, or a file's."""

    name: str
    templates: tuple[str, ...]


def prompts_given(text: str, folder: Path) -> Prompts:
    """Return the templates that a user names: a prompt with {}, a released list, or a file with one template a line.

    A list is found with or without its number and with another separator: ``openai_imagenet`` is ``openai/imagenet80``.

    Raises
    ------
    UnknownNameError : neither a prompt nor a list nor a file.
    DataError : a file that is not there, is not UTF-8, is empty, or has a line without {}.
    """
    if "{" in text:
        return Prompts(name=text, templates=(text,))
    for name, templates in TEMPLATES.items():
        if _spelled(text) in (_spelled(name), _spelled(name).rstrip("0123456789")):
            return Prompts(name=name, templates=templates)
    path = folder / text
    if path.is_file() or path.suffix:
        return Prompts(name=path.name, templates=_read_templates(path))
    raise UnknownNameError("template", text, TEMPLATES, where="(a prompt of your own needs one {})")


def _spelled(name: str) -> str:
    return re.sub(r"[\s_/-]+", "/", name.strip().lower())


def _read_templates(path: Path) -> tuple[str, ...]:
    hint = "one template a line, each with one {} where the class name goes"
    if not path.is_file():
        raise DataError(f"there is no file of templates {path}", hint=hint)
    with decoding(lambda said: DataError(f"cannot read {path} as UTF-8 text: {said}", hint="save it as UTF-8")):
        text = read_whole(path).decode("utf-8-sig")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path} holds no template", hint=hint)
    placeless = next((line for line in lines if "{}" not in line), None)
    if placeless is not None:
        raise DataError(f"{path}: {placeless!r} has no {{}}", hint=hint)
    return tuple(lines)
