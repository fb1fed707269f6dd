"""Prove that weights are those of the original network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cam
from cam import zoo
from cam.cli import exit_codes
from cam.cli.declaring import argument, as_command, option
from cam.cli.differences import MEASURES, matlab_indices, measures
from cam.cli.options import EngineOption, JsonOption
from cam.cli.progress import working
from cam.errors import CamError
from cam.fidelity.original_weights import REFERENCE_MODEL, Verification
from cam.fidelity.original_weights import verify as verify_model


@dataclass(frozen=True)
class VerifyRequest(EngineOption, JsonOption):
    """Whose weights."""

    model: str = argument("MODEL")
    demo_files: Path | None = option(
        "Folder with data_net.mat, data_img1.mat and img1.jpg. Default: where cam fetch-demo puts "
        "them."
    )


@as_command
def verify(request: VerifyRequest) -> int:
    """Prove that the weights of MODEL are those of the original network.

    The class layer is compared with the original's weights_LR, and the activations and scores of
    the ten crops of img1.jpg with the original's. Only googlenet has such a reference; the features
    of img2 are none, since they come from another snapshot of the network. Exit code 0 if it is the
    original network, 1 if not, 2 if weights or reference are missing.
    """
    if zoo.get(request.model).name != REFERENCE_MODEL:
        raise CamError(
            f"the original repository has features of {REFERENCE_MODEL} only, nothing to compare "
            f"{request.model} with; its structure and SHA-256 are checked by: cam models check FILE"
        )
    with working("comparing with the original"):
        outcome = verify_model(cam.load(request.model, request.engine), request.demo_files)
    request.show({"passed": outcome.passed, **asdict(outcome)}, _lines(outcome))
    return exit_codes.SUCCESS if outcome.passed else exit_codes.OUTSIDE_TOLERANCE


def _lines(outcome: Verification) -> Iterator[str]:
    yield f"check                {MEASURES}  asked for"
    for check in outcome.checks:
        passed = "passed" if check.passed else "FAILED"
        yield f"{check.name:20s} {measures(check.difference)}  {check.requirement}: {passed}"
    yield f"top 5 ours {matlab_indices(outcome.ours)}"
    yield f"top 5 original {matlab_indices(outcome.theirs)}"
    yield (
        "This is the original network."
        if outcome.passed
        else "This is not the original network, or not its original class layer."
    )
