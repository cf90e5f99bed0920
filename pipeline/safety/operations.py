"""What the graph would do on a server besides computing, and why that is refused."""

from collections import defaultdict
from typing import Any

from pipeline.safety.graph import MAIN, Graph
from pipeline.safety.operation_effects import SAVER, TABLES, effect
from pipeline.safety.origins import Origins
from pipeline.safety.quoting import quoted, some
from serving.tensorflow.op_defs import op_defs, tensorflow_version


def problems(meta_graph: Any) -> list[str]:
    """One for each kind of operation and reason, with the nodes it is about."""
    graph = Graph(meta_graph)
    judge = _Judge(graph)
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for function, node in graph.nodes():
        reason = judge.reason(function, node)
        if reason:
            where = "the main graph" if function == MAIN else f"function {quoted(function)}"
            places[node.op, reason].append(f"node {quoted(node.name)} of {where}")
    return [f"op {quoted(kind)} {reason}: {some(nodes)}" for (kind, reason), nodes in places.items()]


class _Judge:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._origins = Origins(graph)
        self._served, self._restoring, self._saving = graph.served(), graph.restoring(), graph.saving()

    def reason(self, function: str, node: Any) -> str | None:
        """Why this node is refused; None where it is not."""
        if node.op not in op_defs():
            called = node.op in self._graph.functions
            return None if called else f"is none that TensorFlow {tensorflow_version()} knows"
        does = effect(node)
        if does is not None and node.op in TABLES:
            own = len(node.input) > 1 and self._origins.is_asset(function, node.input[1])
            return None if own else f"{does}, and not surely an asset of the model"
        if does is not None and node.op in SAVER:
            return self._saver_reason(function, node, does)
        return does

    def _saver_reason(self, function: str, node: Any, does: str) -> str | None:
        """The model's own saver may restore its own variables at the load, and may save where no server runs it."""
        place = function, node
        if place in self._served:
            return f"{does}, and a signature or the initialisation reaches it"
        if node.op == "RestoreV2" and place in self._restoring:
            own = bool(node.input) and self._origins.is_checkpoint(function, node.input[0])
            return None if own else f"{does}, and not surely the model's own variables"
        if node.op != "RestoreV2" and place in self._saving and place not in self._restoring:
            return None
        return f"{does}, and not as a part of the model's own saver"
