from collections.abc import Callable
from functools import partial

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from networks import darts, nasnet, randwire, swiftnet

from condense_compiler.memory.order import file_order
from condense_compiler.memory.scheduler import find_order
from condense_compiler.memory.scheduling import order_problem
from condense_compiler.memory.sharing import resolve_sharing
from condense_compiler.network import load_network

NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "swiftnet": partial(swiftnet.build, seed=1),
    "darts": darts.build,
    "nasnet": nasnet.build,
    "randwire": randwire.build,
    "randwire, plain sums": partial(randwire.build, weighted=False),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_network_is_valid_and_runs(name: str) -> None:
    model = NETWORKS[name]()
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString())
    (entry,) = session.get_inputs()
    image = np.random.default_rng(0).standard_normal(entry.shape, np.float32)
    (output,) = session.run(None, {entry.name: image})
    assert output.shape == (1, 10)
    assert np.isfinite(output).all()
    assert output.std() > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_best_order_is_proved_and_better_than_the_file(name: str) -> None:
    network = load_network(NETWORKS[name]())
    sharing = resolve_sharing(network, file_order(network))
    running = [number for number in range(len(sharing.order)) if number not in sharing.idle]
    problem = order_problem(sharing, running)
    order = find_order(problem)
    assert order.optimal
    assert order.peak_bytes < find_order(problem, 0.0).peak_bytes


def test_seed_decides_the_network() -> None:
    assert randwire.build(seed=3) == randwire.build(seed=3)
    assert randwire.build(seed=3) != randwire.build(seed=4)
