"""Epilogues: element-wise programs that run in place on what an operator has just written."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from condense_compiler.errors import UnsupportedError
from condense_compiler.operators.epilogue import first_operand, producer_of
from condense_compiler.operators.fused_elementwise import program_of
from condense_compiler.targets.reference.elementwise import program_bytes, run_program
from condense_compiler.targets.reference.kernel import Array, Kernel, NodeContext


def with_epilogue(context: NodeContext, builder: Callable[[NodeContext], Kernel]) -> Kernel:
    """Prepare an operator and the program behind it.

    Args:
        context: A node that has an epilogue.
        builder: Prepares the operator that the epilogue is behind.

    Raises:
        UnsupportedError: Nobody can compute it.
    """
    producer = builder(replace(context, node=producer_of(context.node)))
    count = first_operand(context.node)

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], scratch: Array) -> None:
        producer.compute(inputs[:count], outputs, scratch)

    return followed_by_epilogue(replace(producer, compute=compute), context)


def followed_by_epilogue(kernel: Kernel, context: NodeContext) -> Kernel:
    """Return a kernel that runs the program of a node on what another kernel writes.

    Raises:
        UnsupportedError: The program reads what the network computes.
    """
    first = first_operand(context.node)
    found = [context.constant(index) for index in range(first, len(context.node.inputs))]
    operands = [value for value in found if value is not None]
    if len(operands) < len(found):
        raise UnsupportedError(
            f"node {context.node.name!r} ({context.node.op}) cannot be computed: "
            "what its program reads is not constant"
        )
    program = program_of(context.node)

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], scratch: Array) -> None:
        kernel.compute(inputs, outputs, scratch)
        run_program(program, outputs[0], outputs[0], operands)

    own_bytes = program_bytes(program, context, [value.shape for value in operands])
    return replace(kernel, compute=compute, temporary_bytes=max(kernel.temporary_bytes, own_bytes))
