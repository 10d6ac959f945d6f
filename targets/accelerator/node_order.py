"""The nodes of a program in the order in which they are lowered."""

import onnx_graphsurgeon as gs

from condense_compiler.program import ScheduledProgram


def ordered_nodes(program: ScheduledProgram) -> list[gs.Node]:
    """Return all nodes, views included: those that have steps in their order."""
    steps = [n for step in program.steps for n in (step.node, step.addition) if n is not None]
    ends = [node for tensor in program.network.graph.outputs for node in tensor.inputs]
    order: dict[int, gs.Node] = {}
    for node in (*steps, *ends):
        pending = [node]
        while pending:
            waiting = [m for t in pending[-1].inputs for m in t.inputs if id(m) not in order]
            if waiting:
                pending += waiting
            else:
                last = pending.pop()
                order[id(last)] = last
    return list(order.values())
