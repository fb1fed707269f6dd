"""The engines that run a Caffe network, behind one protocol."""

from cam.engines.opening import ENGINES, EngineChoice, choose_engine, open_engine
from cam.engines.protocol import Engine, NetworkOutput

__all__ = ["ENGINES", "Engine", "EngineChoice", "NetworkOutput", "choose_engine", "open_engine"]
