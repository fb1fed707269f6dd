"""The engines that run a Caffe network, behind one protocol."""

from cam.engines.opening import ENGINES, open_engine
from cam.engines.protocol import Engine, NetworkOutput

__all__ = ["ENGINES", "Engine", "NetworkOutput", "open_engine"]
