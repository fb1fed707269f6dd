"""Compare what two engines make of the same files and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cam import zoo
from cam.caffe.loaded import LoadedNetwork
from cam.cli import exit_codes
from cam.cli.commands.demo import DEMO_PICTURE
from cam.cli.declaring import argument, as_command, option
from cam.cli.messages import show_note
from cam.cli.options import JsonOption, OwnNetworkOptions
from cam.cli.progress import working
from cam.errors import MissingFileError
from cam.fidelity.engine_agreement import RELATIVE_TOLERANCE, EngineAgreement, open_and_compare


@dataclass(frozen=True)
class CompareEnginesRequest(OwnNetworkOptions, JsonOption):
    """Which engines, on which networks and pictures."""

    images: tuple[str, ...] = argument("[PICTURE]...", default=())
    models: tuple[str, ...] = option(
        "A model of the table; may be repeated.", "-m", "--model", default=()
    )
    every: bool = option("All models of the table.", "--all")
    seeded: bool = option("Random weights where a model's own are missing.")
    reference: str = option("The engine to hold against.", default="caffe")
    other: str = option("The engine to check.", default="openvino")
    tolerance: float = option(
        "The relative difference that a blob may have.", default=RELATIVE_TOLERANCE
    )

    def networks(self) -> dict[str, LoadedNetwork]:
        """Return the networks to compare the engines on, by their titles."""
        own = self.load_own()
        networks = {} if own is None else {own.name: own}
        default = () if networks else (zoo.EMBEDDED,)
        for name in zoo.MODELS if self.every else self.models or default:
            try:
                networks[name] = zoo.load_network(name)
            except MissingFileError:
                if not self.seeded:
                    raise
                networks[f"{name} (seeded weights)"] = zoo.load_network(name, seed=0)
        return networks


@as_command
def compare_engines(request: CompareEnginesRequest) -> int:
    """Compare what two engines make of the same files and pictures.

    Without pictures, the photograph that comes with the project is taken. Exit code 0 if every blob
    is within the tolerance, as a share of its largest value, the heat maps are within one grey
    level and the top five classes are the same; 1 otherwise.
    """
    pictures = request.images or (str(DEMO_PICTURE),)
    networks = request.networks()
    with working("comparing the engines"):
        results = {
            title: open_and_compare(
                network, pictures, request.reference, request.other, request.tolerance
            )
            for title, network in networks.items()
        }
    report = {title: _as_dict(outcome) for title, outcome in results.items()}
    request.show(report, _markdown(results, f"{request.other} against {request.reference}"))
    for network in networks.values():
        show_note(network)
    holds = all(outcome.holds for outcome in results.values())
    return exit_codes.SUCCESS if holds else exit_codes.OUTSIDE_TOLERANCE


def _as_dict(outcome: EngineAgreement) -> dict[str, object]:
    return {
        "blobs": {
            blob: {
                "absolute": apart.max_abs,
                "relative": apart.relative,
                "largest": apart.magnitude,
                "correlation": apart.correlation,
            }
            for blob, apart in outcome.blobs.items()
        },
        "same_top_5": outcome.same_top,
        "pictures": outcome.pictures,
        "grey_levels": outcome.grey_levels,
        "holds": outcome.holds,
    }


def _markdown(results: Mapping[str, EngineAgreement], title: str) -> Iterator[str]:
    yield f"{title}; relative: of the blob's largest value\n"
    yield "| model | blob | absolute | relative | same top 5 | heat map, grey levels | holds |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, outcome in results.items():
        same_top = f"{outcome.same_top} of {outcome.pictures}"
        of_all = f"{same_top} | {outcome.grey_levels} | {'yes' if outcome.holds else 'no'}"
        for blob, apart in outcome.blobs.items():
            yield f"| {name} | {blob} | {apart.max_abs:.1e} | {apart.relative:.1e} | {of_all} |"
