"""The measures of `cam measure` beside torchcam's and pytorch-grad-cam's, on the same network.

    python -m benchmarks.measures val.txt

The network runs in PyTorch with the same weights for the others. Each of them measures as it
defines things: torchcam its own maps, stretched before they are enlarged; pytorch-grad-cam the maps
it is given. ROAD is without noise, which each draws for itself. Prints a table for
docs/measures.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import cam
from benchmarks.rivals import import_grad_cam
from benchmarks.torchnet import TorchNetwork
from benchmarks.workload import import_torch
from cam.explain.faithfulness import mask_by_map, road
from cam.explain.measures import map_of_explanation
from cam.explain.model import CamModel
from cam.explain.styles import PycaffeStyle
from cam.pictures.lists import Entry, find_pictures

SHARES = (0.2, 0.5, 0.8)
"""Fewer than `cam measure` removes: pytorch-grad-cam takes seconds for each."""

Values = NDArray[np.float64]


def measured_here(model: CamModel, entries: Sequence[Entry], whole: bool) -> Values:
    """Return drop, lost probability, increase and ROAD, (pictures, 4), of maps on their crop.

    `whole` says whether maps are stretched after they are enlarged, as `cam measure` does, or
    before.
    """
    rows = []
    for entry in entries:
        explanation = model.explain(entry.read(), top=1, placement="crop")
        assert explanation.output is not None
        index = int(explanation.indices[0])

        def probability(inputs: NDArray[np.float32], index: int = index) -> NDArray[np.float32]:
            return model.engine.forward(inputs).scores[:, index]

        network_input, heat_map = _input_of(model, entry), map_of_explanation(explanation).on_crop
        if not whole:
            heat_map = _stretched_first(explanation.maps[0, 0], model.crop_size)
        masked = mask_by_map(probability, network_input, heat_map)
        score = road(probability, network_input, heat_map, SHARES, noise=0)
        lost = max(0.0, masked.before - masked.after)
        rows.append((masked.drop, lost, masked.increases, score))
    return np.array(rows, np.float64)


def measured_by_torchcam(model: CamModel, entries: Sequence[Entry], network: Any) -> Values:
    """Return torchcam's average drop and increase in confidence, (2,)."""
    from torchcam.methods import CAM
    from torchcam.metrics import ClassificationMetric

    torch = import_torch(threads=1)
    metric = ClassificationMetric(
        CAM(network, network.last_conv, network.class_layer),
        lambda scores: torch.softmax(scores, 1),
    )
    for entry in entries:
        metric.update(torch.from_numpy(_input_of(model, entry)[np.newaxis].copy()))
    summary = metric.summary()
    return np.array([summary["avg_drop"], summary["conf_increase"]])


def measured_by_grad_cam(model: CamModel, entries: Sequence[Entry], network: Any) -> Values:
    """Return pytorch-grad-cam's drop, increase and ROAD, (pictures, 3), of the same maps.

    Its drop is the lost probability itself, not its share of the probability before.
    """
    import_grad_cam()
    from pytorch_grad_cam.metrics import cam_mult_image, perturbation_confidence
    from pytorch_grad_cam.metrics import road as peer_road
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

    torch = import_torch(threads=1)
    fill = peer_road.NoisyLinearImputer(noise=0)
    metrics: list[Callable[..., Any]] = [cam_mult_image.DropInConfidence()]
    metrics.append(cam_mult_image.IncreaseInConfidence())
    removals = [
        perturbation_confidence.PerturbationConfidenceMetric(kind(100 * (1 - share), fill))
        for kind in (
            perturbation_confidence.RemoveLeastRelevantFirst,
            perturbation_confidence.RemoveMostRelevantFirst,
        )
        for share in SHARES
    ]
    rows = []
    for entry in entries:
        explanation = model.explain(entry.read(), top=1, placement="crop")
        heat_map = map_of_explanation(explanation).on_crop.astype(np.float32)
        given = (
            torch.from_numpy(_input_of(model, entry)[np.newaxis].copy()),
            heat_map[np.newaxis],
            [ClassifierOutputSoftmaxTarget(int(explanation.indices[0]))],
            network,
        )
        drop, increase = (float(metric(*given)[0]) for metric in metrics)
        without = np.array([float(removal(*given)[0]) for removal in removals]).reshape(2, -1)
        rows.append((drop, increase, (without[0] - without[1]).mean() / 2))
    return np.array(rows)


def _input_of(model: CamModel, entry: Entry) -> NDArray[np.float32]:
    (network_input,) = model.network_input(entry.read(), PycaffeStyle()).batch
    return np.asarray(network_input, np.float32)


def _stretched_first(raw: NDArray[np.float32], crop: int) -> Values:
    stretched = (raw - raw.min()) / (raw.max() - raw.min())
    return np.asarray(cv2.resize(stretched, (crop, crop)).clip(0, 1), np.float64)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--model", default=cam.zoo.EMBEDDED)
    arguments = parser.parse_args()
    model = cam.load(arguments.model, engine="openvino", threads=1)
    entries = list(find_pictures([Path(one) for one in arguments.pictures]))
    loaded = model.network
    network = TorchNetwork(loaded.network, loaded.weights, loaded.head)
    ours, ours_as_torchcam = (measured_here(model, entries, whole) for whole in (True, False))
    torchcam = measured_by_torchcam(model, entries, network)
    grad_cam = measured_by_grad_cam(model, entries, network)
    print(f"{len(entries)} pictures, {model.name}\n")
    print("| measure | cam | the other | largest difference of a picture |")
    print("| --- | ---: | ---: | ---: |")
    for name, mean, other in zip(
        ("average drop", "increase in confidence"),
        ours_as_torchcam[:, [0, 2]].mean(axis=0),
        torchcam,
        strict=True,
    ):
        print(f"| {name}, torchcam and its maps | {mean:.5f} | {other:.5f} | |")
    names = ("lost probability", "increase in confidence", "ROAD")
    for name, mine, others in zip(names, ours[:, 1:].T, grad_cam.T, strict=True):
        largest = np.abs(mine - others).max()
        means = f"{mine.mean():.5f} | {others.mean():.5f}"
        print(f"| {name}, pytorch-grad-cam | {means} | {largest:.1e} |")


if __name__ == "__main__":
    main()
