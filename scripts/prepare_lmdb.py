"""Prepare an LMDB of labelled pictures for training with Caffe.

PICTURES has one folder for each class, or --list names its pictures and their labels, as Caffe's
tools take them: a path, a space and the class from 0 on each line. The pictures are resized to
256x256 and written by Caffe's own convert_imageset. The names of the folders go beside the LMDB, as
OUTPUT.categories.txt, which `cam run --categories` takes.

    python scripts/prepare_lmdb.py ILSVRC2012/train ilsvrc12_train_lmdb --shuffle 0
    python scripts/prepare_lmdb.py ILSVRC2012/val ilsvrc12_val_lmdb --list val.txt
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from cam.errors import CamError
from cam.files import atomic_path
from cam.training.imageset import list_folder, read_list, write_lmdb


@click.command(help=__doc__)
@click.argument("pictures", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--list", "listed", type=click.Path(path_type=Path), help="Pictures and labels.")
@click.option("--size", default=256, show_default=True, help="Rows and columns.")
@click.option("--shuffle", "seed", type=int, help="Shuffle the pictures, with this seed.")
@click.option("--encode", type=click.Choice(["jpg", "png"]), help="Store them compressed.")
@click.option("--skip-unreadable", is_flag=True, help="Leave out what cannot be decoded.")
def main(
    pictures: Path,
    output: Path,
    listed: Path | None,
    size: int,
    seed: int | None,
    encode: Literal["jpg", "png"] | None,
    skip_unreadable: bool,
) -> None:
    try:
        labelled, names = (read_list(listed), []) if listed else list_folder(pictures)
        done = write_lmdb(
            labelled,
            pictures,
            output,
            size=size,
            seed=seed,
            encoding=encode,
            skip_unreadable=skip_unreadable,
            report=lambda count: click.echo(f"{count} of {len(labelled)}", err=True),
        )
        if names:
            with atomic_path(output.with_name(f"{output.name}.categories.txt")) as temporary:
                temporary.write_text("\n".join(names) + "\n", encoding="utf-8")
    except CamError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{output}: {done} of {len(labelled)} pictures")


if __name__ == "__main__":
    main()
