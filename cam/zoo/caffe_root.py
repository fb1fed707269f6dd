"""The installed Caffe's folder that is laid out like a checkout: what scripts call ``caffe_root``.

``docker/build_caffe.sh`` makes it; ``python -m cam.zoo.caffe_root FOLDER`` links the project's
networks and its users' weights into it.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

from cam.files import models_folder
from cam.zoo.table import ZOO
from cam.zoo.weights import fetch_folder


def caffe_root() -> Path | None:
    """Return the folder whose ``python/caffe`` is the pycaffe that ``import caffe`` finds.

    Returns
    -------
    pathlib.Path or None
        A checkout, or ``share/caffe`` below the prefix into which the project's build installs;
        None if pycaffe is not installed, or was installed without such a folder.
    """
    spec = PathFinder.find_spec("caffe")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).resolve().parent
    for folder in package.parents:
        for root in (folder, folder / "share" / "caffe"):
            if (root / "python" / "caffe").resolve() == package:
                return root
    return None


def link_models(root: Path) -> None:
    """Link prototxts, class names and weights where scripts expect them below a ``caffe_root``.

    Parameters
    ----------
    root : pathlib.Path
        The folder. ``models`` below it gets all that is in the project's models folder, and each
        model's weights, which are where ``cam models fetch`` puts them or will do so.
        ``data/ilsvrc12/synset_words.txt`` becomes the list of ImageNet's classes. Files that are
        there and no links stay as they are.
    """
    links = {root / "models" / model.caffemodel: fetch_folder() / model.caffemodel for model in ZOO}
    links |= {root / "models" / path.name: path for path in models_folder().iterdir()}
    links[root / "data" / "ilsvrc12" / "synset_words.txt"] = models_folder() / "categories1000.txt"
    for link, target in links.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():
            link.unlink()
        if not link.exists():
            link.symlink_to(target.absolute())


if __name__ == "__main__":
    link_models(Path(sys.argv[1]))
