"""The names of the classes: their files, and finding a class by its name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cam.arguments import checked
from cam.errors import InvalidValueError, nearest_names
from cam.files import PathLike, models_folder, read_text

MAX_NAMES_BYTES = 16 * 2**20

_FILES = {1000: "categories1000.txt", 205: "categories_places205.txt"}


@checked
def read_class_names(path: PathLike) -> tuple[str, ...]:
    """Return the class names of a text file, one a line, in the network's order.

    Raises
    ------
    CamError
        If the file cannot be read or is not text in UTF-8.
    """
    return tuple(read_text(path, "the class names of", MAX_NAMES_BYTES).rstrip().splitlines())


@lru_cache(maxsize=8)
@checked
def class_names(file_name: str) -> tuple[str, ...]:
    """Return the class names of a file in the project's models folder.

    Examples
    --------
    >>> class_names("categories1000.txt")[0]
    'n01440764 tench, Tinca tinca'
    """
    return read_class_names(models_folder() / file_name)


@checked
def default_class_names(count: int) -> tuple[str, ...]:
    """Return names for a number of classes: ImageNet's 1000, Places' 205, or numbers.

    Examples
    --------
    >>> default_class_names(2)
    ('class 0', 'class 1')
    """
    if count in _FILES:
        return class_names(_FILES[count])
    return tuple(f"class {index}" for index in range(count))


@checked
def find_class(class_names: Sequence[str], wanted: str) -> int:
    """Return the index of the class that a user means.

    Parameters
    ----------
    class_names : sequence of str
        The class names in the network's order, e.g. ``"n01440764 tench, Tinca tinca"``.
    wanted : str
        The class's index, its whole name, its WordNet id or one of its synonyms; or a part of a
        name if only one class has it. Upper and lower case do not differ.

    Returns
    -------
    int
        The index, from 0.

    Raises
    ------
    CamError
        If no class or more than one fits.

    Examples
    --------
    >>> find_class(["n01440764 tench, Tinca tinca", "n01443537 goldfish"], "tinca tinca")
    0
    """
    if wanted.isdecimal():
        # Python takes numbers of some thousand digits for an attack.
        if len(wanted) < 10 and int(wanted) < len(class_names):
            return int(wanted)
        raise InvalidValueError(
            f"no class {wanted}; the classes are numbered 0 to {len(class_names) - 1}"
        )
    text = wanted.strip().lower()
    names = [name.lower() for name in class_names]
    for fits in (_is_name_of, _is_part_of):
        found = [index for index, name in enumerate(names) if text and fits(text, name)]
        if len(found) == 1:
            return found[0]
        if found:
            some = "; ".join(f"{index} {class_names[index]}" for index in found[:3])
            raise InvalidValueError(f"{wanted!r} fits {len(found)} classes, give a number: {some}")
    known = [synonym for name in names for synonym in plain_name(name).split(", ")]
    raise InvalidValueError(f"no class {wanted!r}{nearest_names(text, known)}")


@checked
def plain_name(name: str) -> str:
    """Return a class name without its WordNet id.

    Examples
    --------
    >>> plain_name("n01440764 tench, Tinca tinca")
    'tench, Tinca tinca'
    """
    head, _, rest = name.partition(" ")
    is_id = len(head) == 9 and head[0] == "n" and head[1:].isdecimal()
    return rest if rest and is_id else name


@checked
def short_name(name: str) -> str:
    """Return the first synonym of a class name, as a title for people.

    Examples
    --------
    >>> short_name("n01440764 tench, Tinca tinca"), short_name("/a/airport_terminal")
    ('tench', 'airport terminal')
    """
    first = plain_name(name).split(",")[0].strip()
    # Places205 names its scenes by folder: /a/abbey, /a/apartment_building/outdoor.
    if first.startswith("/"):
        first = first.split("/", 2)[-1].replace("/", ", ").replace("_", " ")
    return first


def _is_name_of(text: str, name: str) -> bool:
    return text in {name, name.split(" ")[0], plain_name(name), *plain_name(name).split(", ")}


def _is_part_of(text: str, name: str) -> bool:
    return text in name
