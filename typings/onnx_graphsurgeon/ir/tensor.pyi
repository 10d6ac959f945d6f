from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto
from onnx_graphsurgeon.ir.node import Node

class LazyValues:
    tensor: TensorProto
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    nbytes: int
    def __init__(self, tensor: TensorProto) -> None: ...
    def load(self) -> npt.NDArray[Any]: ...

class Tensor:
    name: str
    inputs: list[Node]
    outputs: list[Node]
    # While a network is loaded, either may be missing or hold other things.
    shape: Sequence[int] | Any
    dtype: np.dtype[Any] | Any
    type: str
    values: npt.NDArray[Any] | Any  # of a constant; lazy ones may be put there
    _values: npt.NDArray[Any] | LazyValues
    def is_empty(self) -> bool: ...
    def to_constant(self, values: npt.NDArray[Any] | LazyValues) -> Constant: ...
    def to_variable(self, dtype: npt.DTypeLike = ..., shape: Sequence[int] = ...) -> Variable: ...

class Variable(Tensor):
    def __init__(
        self, name: str, dtype: npt.DTypeLike | int | None = ..., shape: Sequence[int] | None = ...
    ) -> None: ...
    @staticmethod
    def empty() -> Variable: ...
    def copy(self) -> Variable: ...

class Constant(Tensor):
    def __init__(self, name: str, values: npt.NDArray[Any] | LazyValues) -> None: ...
    def copy(self) -> Constant: ...
