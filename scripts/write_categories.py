"""Write the class names of the networks, as text for the package and as .mat for MATLAB.

The 1000 ImageNet names are made from the synset lists in the package ``timm``, in the order in
which Caffe's networks number the classes; the 205 scene names of Places205 are kept in
``models/categories_places205.txt``.

    pip install '.[convert]'
    python scripts/write_categories.py
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from cam.files import atomic_path
from cam.matlab import write_mat

ROOT = Path(__file__).resolve().parents[1]


def imagenet_names() -> list[str]:
    """Return ``n01440764 tench, Tinca tinca`` and so on, 1000 names sorted by synset."""
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        raise click.ClickException("the package timm is missing: pip install '.[convert]'")
    lists = Path(spec.origin).parent / "data" / "_info"
    lemmas = dict(
        line.split("\t")
        for line in (lists / "imagenet_synset_to_lemma.txt").read_text().splitlines()
    )
    synsets = (lists / "imagenet_synsets.txt").read_text().split()
    return [f"{synset} {lemmas[synset]}" for synset in synsets]


@click.command(help=__doc__)
def main() -> None:
    names = imagenet_names()
    with atomic_path(ROOT / "models" / "categories1000.txt") as temporary:
        temporary.write_text("\n".join(names) + "\n", encoding="utf-8")
    write_mat(ROOT / "categories1000.mat", {"categories": names})


if __name__ == "__main__":
    main()
