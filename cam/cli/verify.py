"""`cam verify`: whether weights are those of the original network."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cam.fidelity.original_weights import Verification

EXIT_OTHER_NETWORK = 1


@click.command()
@click.argument("model")
@click.option(
    "--demo-files",
    type=click.Path(path_type=Path),
    help="Folder with data_net.mat, data_img1.mat and img1.jpg. Default: where cam fetch-demo "
    "puts them.",
)
@click.option(
    "--engine",
    default="auto",
    show_default=True,
    help="auto, openvino or caffe (also caffe:cpu, caffe:gpu:N).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def verify(model: str, demo_files: Path | None, engine: str, as_json: bool) -> int:
    """Prove that the weights of MODEL are those of the original network.

    The class layer is compared with the original's weights_LR, and the activations and scores of
    the ten crops of img1.jpg with the original's. Only googlenet has such a reference; the features
    of img2 are none, since they come from another snapshot of the network. Exit code 0 if it is the
    original network, 1 if not, 2 if weights or reference are missing.
    """
    from cam import zoo
    from cam.errors import CamError
    from cam.explain import model as explain
    from cam.fidelity.original_weights import REFERENCE_MODEL
    from cam.fidelity.original_weights import verify as verify_model

    if zoo.get(model).name != REFERENCE_MODEL:
        raise CamError(
            f"the original repository has features of {REFERENCE_MODEL} only, nothing to compare "
            f"{model} with; its structure and SHA-256 are checked by: cam models check FILE"
        )
    outcome = verify_model(explain.load(model, engine), demo_files)
    if as_json:
        click.echo(json.dumps({"passed": outcome.passed, **asdict(outcome)}, indent=2))
    else:
        _print_outcome(outcome)
    return 0 if outcome.passed else EXIT_OTHER_NETWORK


def _print_outcome(outcome: Verification) -> None:
    click.echo("check                 largest      mean  relative  correlation  asked for")
    for check in outcome.checks:
        measured = check.difference
        correlation = "" if measured.correlation is None else f"{measured.correlation:.6f}"
        click.echo(
            f"{check.name:20s} {measured.max_abs:8.3g}  {measured.mean_abs:8.3g}  "
            f"{measured.relative:8.2g}  {correlation:>11s}  {check.requirement}: "
            f"{'passed' if check.passed else 'FAILED'}"
        )
    for side, classes in (("ours", outcome.ours), ("original", outcome.theirs)):
        click.echo(f"top 5 {side} (from 1, as MATLAB): {' '.join(str(c + 1) for c in classes)}")
    click.echo(
        "This is the original network."
        if outcome.passed
        else "This is not the original network, or not its original class layer."
    )
