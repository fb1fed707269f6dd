"""`cam matlab-demo` and `cam fetch-demo`: the original's cached demo, and its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cam.errors import CamError

if TYPE_CHECKING:
    from cam.explain.explanation import Explanation

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--features", type=_PATH, help="Activations and scores of ten crops, a .mat file.")
@click.option("--net", type=_PATH, help="The class layer, a .mat file.")
@click.option("--image", type=_PATH, help="The picture that the features are of.")
@click.option("--top", type=int, default=5, show_default=True, help="How many classes.")
@click.option(
    "--crop", type=click.IntRange(min=1), help="Rows of a crop. Default: by the maps' size."
)
@click.option(
    "--first-crop",
    is_flag=True,
    help="Order the classes by the first crop's scores, as demo.m does with its own data_img1.mat.",
)
@click.option(
    "-o",
    "--output",
    type=_PATH,
    default=Path("cam-out"),
    show_default=True,
    help="Folder for the results, a folder in it for the picture.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def matlab_demo(
    features: Path | None,
    net: Path | None,
    image: Path | None,
    top: int,
    crop: int | None,
    first_crop: bool,
    output: Path,
    as_json: bool,
) -> None:
    """Make the maps of the original's cached demo from its features, without a network.

    The files are those that cam fetch-demo gets, data_img1.mat, data_net.mat and img1.jpg, or
    others that the options name.
    """
    from cam.fidelity import cached_demo as demo

    if (features is None) != (image is None):
        raise CamError("--features and --image belong together: the features are of that picture")
    if features is None or image is None:
        features, image = _fetched("data_img1.mat"), _fetched("img1.jpg")
    result = demo.explain_features(
        features, net or _fetched("data_net.mat"), image, top, crop, first_crop
    )
    folder = output / image.stem
    result.save(folder)
    if as_json:
        summary = {"image": str(image), "folder": str(folder), **result.to_dict()}
        click.echo(json.dumps(summary, indent=2))
    else:
        _print_result(features, folder, result)
    if result.record["score_residual"] > demo.SAME_NETWORK:
        click.echo(
            f"Note: the scores of {features.name} do not follow from its activations and the class "
            f"layer: they are off by up to {result.record['score_residual']:.2g} in the logarithm "
            f"(1e-5 is usual). {demo.OTHER_SNAPSHOT[0].upper()}{demo.OTHER_SNAPSHOT[1:]}.",
            err=True,
        )


def _fetched(name: str) -> Path:
    from cam.fidelity.cached_demo import demo_folder

    path = demo_folder() / name
    if not path.is_file():
        raise CamError(
            f"{name} is not in {demo_folder()}; get it with cam fetch-demo, or name files with "
            "--features, --net and --image"
        )
    return path


def _print_result(features: Path, folder: Path, result: Explanation) -> None:
    click.echo(f"{features}: features of ten crops, no network was run")
    click.echo("probability  index in MATLAB (from 1)  index (from 0)  class")
    for entry in result.to_dict()["top"]:
        index = entry["index"]
        click.echo(f"{entry['probability']:11.4f}  {index + 1:24d}  {index:14d}  {entry['name']}")
    click.echo(f"written to {folder}, the original's figure to {folder / 'result.jpg'}")


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "-o", "--output", type=_PATH, help="Folder for the files. Default: in the user's cache."
)
@click.option("--from", "source", help="A folder, or the address of one, to take them from.")
def fetch_demo(names: tuple[str, ...], output: Path | None, source: str | None) -> None:
    """Get the files of the original's cached demo, check them and record their SHA-256.

    They come from the original repository, github.com/metalbubble/CAM. An interrupted download
    goes on where it stopped. NAME is one of the files, such as data_net.mat; default: all six.
    """
    from cam.cli.progress import download_bar
    from cam.errors import nearest_names
    from cam.fidelity import cached_demo as demo

    for name in names:
        if name not in demo.DEMO_FILES:
            raise CamError(
                f"no demo file {name!r}{nearest_names(name, demo.DEMO_FILES)}; there are "
                f"{', '.join(demo.DEMO_FILES)}"
            )
    for name in names or demo.DEMO_FILES:
        with download_bar(name) as advance:
            path = demo.fetch_demo_file(name, output, source, advance)
        click.echo(path)
        if name == "data_img2.mat":
            click.echo(f"Note: {demo.OTHER_SNAPSHOT}.")
