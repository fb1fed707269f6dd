"""Other programs that do the same work: the pycaffe port, torchcam and pytorch-grad-cam."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.workload import TOP, Call, NotHereError, Workload, import_torch
from cam.pictures.reading import Picture, center_crop

__all__ = ["grad_cam", "pycaffe_port", "torch_forward", "torchcam"]


def pycaffe_port(workload: Workload) -> Call:
    """Do what `py_demo.py` of gcucurull/CAM-Python does between reading and showing a picture."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        import caffe
    except ImportError as error:
        raise NotHereError(f"pycaffe is not installed ({error})") from error
    preprocessing, crop = workload.model.preprocessing, workload.model.crop_size
    if preprocessing.channels != "BGR":
        raise NotHereError("the port knows networks of BGR pictures only")
    files, head = workload.files, workload.files.loaded.head
    caffe.set_mode_cpu()
    net = caffe.Net(str(files.loaded.prototxt), caffe.TEST, weights=str(files.caffemodel))
    data = net.blobs[files.loaded.network.input_name]
    data.reshape(1, 3, crop, crop)
    mean = np.array(preprocessing.mean)[:, np.newaxis, np.newaxis]

    def call() -> list[Picture]:
        frame = cv2.resize(workload.picture, (256, 256))
        pixels = frame[center_crop(np.asarray(frame, np.uint8), crop)].transpose(2, 0, 1)
        data.data[...] = (pixels - mean) * preprocessing.scale
        net.forward()
        scores, activation = net.blobs[head.scores].data[0], net.blobs[head.last_conv].data[0]
        class_weights = net.params[head.class_layer][0].data
        indices = np.argsort(scores)[::-1][:TOP]
        return [_ports_overlay(frame, class_weights[index], activation) for index in indices]

    call()
    workload.check("Caffe", net.blobs[head.last_conv].data, net.blobs[head.scores].data)
    return call


def _ports_overlay(
    frame: NDArray[Any], class_weights: NDArray[np.float32], activation: NDArray[np.float32]
) -> Picture:
    vectors = activation.reshape(len(activation), -1)
    raw = np.dot(class_weights, vectors).reshape(activation.shape[1:])
    heat_map = _stretched(cv2.resize(raw.astype(np.float64), (256, 256)))
    heat = cv2.applyColorMap(np.round(heat_map * 255).astype(np.uint8), cv2.COLORMAP_JET)
    overlay = 0.2 * _stretched(frame) + 0.7 * _stretched(heat)
    return np.asarray(np.round(overlay * 255).astype(np.uint8))


def _stretched(values: NDArray[Any]) -> Any:
    return cv2.normalize(
        values.astype(np.float64),
        None,
        0.0,
        1.0,
        cv2.NORM_MINMAX,  # type: ignore[call-overload]
    )


def torch_forward(workload: Workload) -> Call:
    """Run the network alone in PyTorch."""
    network, torch = workload.torch_network, import_torch(workload.threads)
    batch = torch.from_numpy(workload.prepare().batch)

    def call() -> Any:
        with torch.inference_mode():
            return network(batch)

    return call


def torchcam(workload: Workload) -> Call:
    """Make five overlays with torchcam's CAM."""
    network, torch = workload.torch_network, import_torch(workload.threads)
    try:
        from torchcam.methods import CAM
        from torchcam.utils import overlay_mask
    except ImportError as error:
        raise NotHereError(f"torchcam is not installed ({error})") from error
    from PIL import Image

    extractor = CAM(network, network.last_conv, network.class_layer)

    def call() -> list[Any]:
        prepared = workload.prepare()
        with torch.inference_mode():
            scores = network(torch.from_numpy(prepared.batch))
        background = Image.fromarray(np.ascontiguousarray(prepared.frame[:, :, ::-1]))
        overlays = []
        for index in scores[0].topk(TOP).indices.tolist():
            (heat_map,) = extractor(index, scores)
            overlays.append(overlay_mask(background, Image.fromarray(heat_map[0].numpy())))
        return overlays

    return call


def grad_cam(workload: Workload) -> Call:
    """Make five overlays with pytorch-grad-cam's GradCAM; it has no CAM."""
    network, torch = workload.torch_network, import_torch(workload.threads)
    extractor_class, show_cam_on_image, class_target = import_grad_cam()
    extractor = extractor_class(model=network, target_layers=[network.last_conv])

    def call() -> list[Any]:
        prepared = workload.prepare()
        batch = torch.from_numpy(prepared.batch)
        with torch.no_grad():
            scores = network(batch)
        targets = [class_target(index) for index in scores[0].topk(TOP).indices.tolist()]
        heat_maps = extractor(input_tensor=batch.repeat(TOP, 1, 1, 1), targets=targets)
        cropped = prepared.frame[center_crop(prepared.frame, workload.model.crop_size)]
        background = cropped[:, :, ::-1].astype(np.float32) / 255
        return [show_cam_on_image(background, heat_map, use_rgb=True) for heat_map in heat_maps]

    return call


def import_grad_cam() -> tuple[Any, Any, Any]:
    """Return GradCAM, show_cam_on_image and ClassifierOutputTarget."""
    try:
        import torchvision  # noqa: F401
    except ImportError as error:
        raise NotHereError(f"pytorch-grad-cam needs torchvision ({error})") from error
    except RuntimeError:
        _declare_torchvision_operators()
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.image import show_cam_on_image
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except (ImportError, RuntimeError) as error:
        raise NotHereError(f"pytorch-grad-cam does not import ({error})") from error
    return GradCAM, show_cam_on_image, ClassifierOutputTarget


@lru_cache(maxsize=1)
def _declare_torchvision_operators() -> Any:
    """Let a torchvision that was built for CUDA import beside a PyTorch without CUDA.

    It cannot load its compiled operators there, and its Python parts, all that GradCAM uses, ask
    for these two names when they are imported. The declaration lasts as long as what is returned.
    """
    import torch

    make_library: Any = torch.library.Library
    library = make_library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library
