"""`caffe.NetSpec`: networks written in Python and turned into prototxt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from cam.caffe.schema import message_class, schema_names

__all__ = ["Function", "NetSpec", "Top", "assign_proto", "layers", "params", "to_proto"]


class Top:
    """One blob that a layer writes.

    Attributes
    ----------
    fn : Function
        The layer.
    n : int
        Which of its tops.
    """

    def __init__(self, fn: Function, n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> Any:
        """Return the network of all layers that this blob needs."""
        return to_proto(self)


class Function:
    """One layer: its type, the blobs that it reads and its parameters.

    Parameters
    ----------
    type_name : str
        The layer's type.
    inputs : sequence of Top
        What it reads.
    params : dict
        Fields of the layer, or of the parameters of its type. ``ntop`` says how many blobs it
        writes, ``in_place`` that these are the ones that it reads.

    Raises
    ------
    TypeError
        If it is to read something that is no blob.
    """

    def __init__(self, type_name: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> None:
        for index, each in enumerate(inputs):
            if not isinstance(each, Top):
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(each)})")
        self.type_name = type_name
        self.inputs: tuple[Top, ...] = inputs
        self.ntop = params.pop("ntop", 1)
        self.in_place = params.pop("in_place", False)
        self.params = params
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def message(self, name: str, bottoms: list[str], tops: list[str]) -> Any:
        """Return the layer as a ``LayerParameter`` under these names."""
        layer = message_class("LayerParameter")(
            name=name, type=self.type_name, bottom=bottoms, top=tops
        )
        own = _parameter_fields().get(self.type_name, "")
        for key, value in self.params.items():
            # What is no field of the type's parameters is one of the layer.
            parameters = None if key.endswith("param") or not own else getattr(layer, own)
            known = parameters is not None and key in parameters.DESCRIPTOR.fields_by_name
            assign_proto(parameters if known else layer, key, value)
        return layer


@lru_cache(maxsize=1)
def _parameter_fields() -> Mapping[str, str]:
    """Return the field of a layer that holds the parameters of each type."""
    fields = message_class("LayerParameter").DESCRIPTOR.fields
    return {
        field.message_type.name[: -len("Parameter")]: field.name
        for field in fields
        if field.name.endswith("_param")
    }


def assign_proto(proto: Any, name: str, val: Any) -> None:
    """Set a field of a message from Python's values.

    Parameters
    ----------
    proto : protobuf message
        The message.
    name : str
        The field.
    val : object
        A number or text; a dict for a message; a list for a repeated field, of which a single
        value is one, too.

    Examples
    --------
    >>> layer = message_class("LayerParameter")()
    >>> assign_proto(layer, "convolution_param", {"num_output": 3, "kernel_size": 5})
    >>> list(layer.convolution_param.kernel_size)
    [5]
    """
    field = getattr(proto, name)
    if hasattr(field, "extend"):
        for item in val if isinstance(val, list) else [val]:
            if isinstance(item, dict):
                _assign_all(field.add(), item)
            else:
                field.append(item)
    elif isinstance(val, dict):
        # An empty message is present, too.
        field.SetInParent()
        _assign_all(field, val)
    else:
        setattr(proto, name, val)


def _assign_all(proto: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        assign_proto(proto, name, value)


def to_proto(*tops: Top | Function) -> Any:
    """Return the network of all layers that some blobs need, under names made of their types."""
    return _network(tops, {})


class NetSpec:
    """A network whose blobs are its attributes; a layer is named after its first one.

    Examples
    --------
    >>> n = NetSpec()
    >>> n.data = layers.Input(shape=dict(dim=[1, 3, 8, 8]))
    >>> n.pool = layers.Pooling(n.data, pool=params.Pooling.AVE, global_pooling=True)
    >>> [(layer.name, list(layer.bottom)) for layer in n.to_proto().layer]
    [('data', []), ('pool', ['data'])]
    """

    tops: dict[str, Any]

    def __init__(self) -> None:
        super().__setattr__("tops", {})

    def __setattr__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        try:
            return self.tops[name]
        except KeyError:
            raise AttributeError(f"no blob {name!r} in this network") from None

    __setitem__ = __setattr__

    def __getitem__(self, name: str) -> Any:
        return self.tops[name]

    def to_proto(self) -> Any:
        """Return the network of all blobs that have been named."""
        return _network(self.tops.values(), {top: name for name, top in self.tops.items()})


def _network(wanted: Iterable[Top | Function], names: dict[Any, str]) -> Any:
    counts: Counter[str] = Counter()
    written: dict[Function, Any] = {}

    def name_of(thing: Top | Function, type_name: str) -> str:
        if thing not in names:
            counts[type_name] += 1
            names[thing] = f"{type_name}{counts[type_name]}"
        return names[thing]

    def write(fn: Function) -> None:
        if fn in written:
            return
        for each in fn.inputs:
            write(each.fn)
        bottoms = [written[each.fn].top[each.n] for each in fn.inputs]
        tops = [name_of(top, fn.type_name) for top in fn.tops] if not fn.in_place else bottoms
        name = name_of(fn.tops[0] if fn.tops else fn, fn.type_name)
        written[fn] = fn.message(name, bottoms, tops)

    for each in wanted:
        write(each.fn if isinstance(each, Top) else each)
    return message_class("NetParameter")(layer=written.values())


class _Layers:
    """Makes a layer of each attribute's name: ``layers.Convolution(bottom, kernel_size=3)``."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def layer(*inputs: Any, **fields: Any) -> Any:
            function = Function(name, inputs, fields)
            if not function.tops:
                return function
            return function.tops[0] if len(function.tops) == 1 else function.tops

        return layer


class _Parameters:
    """Has the constants of each type's parameters: ``params.Pooling.MAX``."""

    def __getattr__(self, name: str) -> Any:
        try:
            return schema_names()[f"{name}Parameter"]
        except KeyError:
            raise AttributeError(f"layers of type {name!r} have no parameters") from None


layers = _Layers()
"""A function for each layer type: ``layers.Convolution(bottom, kernel_size=3)``."""

params = _Parameters()
"""The constants of each layer type's parameters: ``params.Pooling.MAX``."""
