"""Readable, versioned class names for prompts: a list never changes once released; a better one gets the next number.

Each name comes with the other spellings under which sources know the class, so that a list is matched by name where a
source has names, and by count where it has none.
"""

import dataclasses
from pathlib import Path
from typing import Final

from heatdrift.data.images import LabelledImages, listed, plain
from heatdrift.data.names_file import is_names_file, read_names_file, words_from
from heatdrift.errors import DataError, UnknownNameError

_CIFAR100: Final = """
apple, aquarium fish, baby, bear, beaver, bed, bee, beetle, bicycle, bottle, bowl, boy, bridge, bus, butterfly, camel,
can, castle, caterpillar, cattle, chair, chimpanzee, clock, cloud, cockroach, couch, crab = cra, crocodile, cup,
dinosaur, dolphin, elephant, flatfish, forest, fox, girl, hamster, house, kangaroo, keyboard, lamp, lawn mower,
leopard, lion, lizard, lobster, man, maple tree, motorcycle, mountain, mouse, mushroom, oak tree, orange, orchid,
otter, palm tree, pear, pickup truck, pine tree, plain, plate, poppy, porcupine, possum, rabbit, raccoon, ray, road,
rocket, rose, sea, seal, shark, shrew, skunk, skyscraper, snail, snake, spider, squirrel, streetcar, sunflower, sweet
pepper, table, tank, telephone, television, tiger, tractor, train, trout, tulip, turtle, wardrobe, whale, willow tree,
wolf, woman, worm
"""  # "cra": so the hub's data set wrote it for years
_CIFAR10: Final = "airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck"
_EUROSAT: Final = """
annual crop land = annual crop, forest, brushland or shrubland = herbaceous vegetation, highway or road = highway,
industrial buildings or commercial buildings = industrial = industrial buildings, pasture land = pasture, permanent
crop land = permanent crop, residential buildings or homes or apartments = residential = residential buildings, river,
lake or sea = sea lake
"""
_PETS: Final = """
Abyssinian, American Bulldog, American Pit Bull Terrier, Basset Hound, Beagle, Bengal, Birman, Bombay, Boxer, British
Shorthair, Chihuahua, Egyptian Mau, English Cocker Spaniel, English Setter, German Shorthaired, Great Pyrenees,
Havanese, Japanese Chin, Keeshond, Leonberger, Maine Coon, Miniature Pinscher, Newfoundland, Persian, Pomeranian, Pug,
Ragdoll, Russian Blue, Saint Bernard, Samoyed, Scottish Terrier, Shiba Inu, Siamese, Sphynx, Staffordshire Bull
Terrier, Wheaten Terrier, Yorkshire Terrier
"""
_CATS: Final = (
    *("Abyssinian", "Bengal", "Birman", "Bombay", "British Shorthair", "Egyptian Mau", "Maine Coon", "Persian"),
    *("Ragdoll", "Russian Blue", "Siamese", "Sphynx"),
)


def _spellings(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(word.strip() for word in part.split("=")) for part in text.replace("\n", " ").split(","))


def _as_openai_has_them(groups: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """Pets as OpenAI's prompts.md writes them: cats with capitals, dogs without."""
    return tuple(
        group if any(cat in group[0] for cat in _CATS) else tuple(name.lower() for name in group) for group in groups
    )


def _as_on_the_hub(groups: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """CIFAR-100 as `uoft-cs/cifar100` writes it: underscores for spaces, and `cra`."""
    return tuple(tuple(name.replace(" ", "_") for name in reversed(group)) for group in groups)


LISTS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {  # the first spelling is what prompts say
    "cifar100/1": _spellings(_CIFAR100),
    "cifar100/hub": _as_on_the_hub(_spellings(_CIFAR100)),  # what published numbers rest on
    "cifar10/1": _spellings(_CIFAR10),
    "eurosat/1": _spellings(_EUROSAT),
    "pets/1": _spellings(_PETS),
    "pets/openai": _as_openai_has_them(_spellings(_PETS)),
}


def names_of(key: str) -> tuple[str, ...]:
    """Names of a list, in the official order of the classes.

    Raises
    ------
    UnknownNameError : no such list.
    """
    return tuple(spellings[0] for spellings in _list(key))


def apply_class_names(images: LabelledImages, key: str) -> LabelledImages:
    """Give images the names of a list: by the source's own names where it has some, in whatever order, else by number.

    The list may have more classes than images of which a part was chosen.

    Raises
    ------
    UnknownNameError : no such list.
    DataError : another number of classes, or a class of the source that the list does not know.
    """
    spellings = _list(key)
    if len(images.class_names) != len(spellings) and not (images.numbers and max(images.numbers) < len(spellings)):
        problem = f"{images.source} has {len(images.class_names)} classes, the list {key!r} has {len(spellings)}"
        raise DataError(
            problem, hint=f"class_names: one of {', '.join(LISTS)}, a names file, or none for the source's own names"
        )
    if not images.source_names:
        every = names_of(key)
        return dataclasses.replace(images, class_names=tuple(every[number] for number in images.class_numbers))
    known = {plain(spelling): group[0] for group in spellings for spelling in group}
    foreign = [name for name in images.source_names if plain(name) not in known]
    if foreign:
        problem = f"{images.source}: the list {key!r} does not know class {listed(map(repr, foreign))}"
        raise DataError(problem, hint="take class_names out of the study file to use the source's own names")
    names = tuple(known[plain(name)] for name in images.source_names)
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{images.source}: two of its classes are {twice!r} in {key!r}", hint="correct its class names")
    return dataclasses.replace(images, class_names=names)


def prompt_names(
    images: LabelledImages, key: str | None, *, underscores: bool, folder: Path | None = None
) -> tuple[str, ...]:
    """Return the words that prompts say for each class: of the list or names file `key`, else the source's own names.

    `underscores` keeps the names as list or source writes them; without it underscores become spaces. Names files lie
    in `folder`.

    Raises
    ------
    UnknownNameError, DataError : as :func:`apply_class_names`, :func:`heatdrift.data.names_file.words_from`.
    """
    if key is not None and is_names_file(key):
        names = words_from(read_names_file((folder or Path()) / key), images)
    elif key is not None:
        names = apply_class_names(images, key).class_names
    else:
        names = (underscores and images.source_names) or images.class_names
    return names if underscores else tuple(name.replace("_", " ") for name in names)


def _list(key: str) -> tuple[tuple[str, ...], ...]:
    if key not in LISTS:
        raise UnknownNameError("list of class names", key, LISTS)
    return LISTS[key]
