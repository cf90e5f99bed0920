"""Where a file name comes from: whether nothing but the loader can have said it."""

from collections.abc import Iterable, Iterator
from typing import Any

from pipeline.safety.graph import MAIN, Graph, node_name, tensor_names

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# What may be done with the handle of a variable that keeps the name of an asset.
_HARMLESS_USES = ("AssignVariableOp", "ReadVariableOp", "VarIsInitializedOp")


class Origins:
    """Follows a value back through copies, arguments of functions, and the variables that keep names of assets."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        # What a client may say in a request.
        self._fed = {
            _tensor(name)
            for signature in graph.meta_graph.signature_def.values()
            for info in signature.inputs.values()
            for name in tensor_names(info)
        }
        # A placeholder has no value until the loader gives it one; a constant might hold any path.
        self._assets = {name for name in _asset_tensors(graph) if _kinds(graph, name) == {"Placeholder"}}

    def is_asset(self, function: str, reference: str) -> bool:
        """Whether this value can only be the path of one of the model's own files."""
        return self._only(self._assets, function, reference, through_variables=True)

    def is_checkpoint(self, function: str, reference: str) -> bool:
        """Whether this value can only be the path of the model's own variables."""
        filename = _tensor(self._graph.meta_graph.saver_def.filename_tensor_name)
        return self._only({filename}, function, reference, through_variables=False)

    def _only(self, wanted: set[str], function: str, reference: str, *, through_variables: bool) -> bool:
        pending, seen, found = [(function, reference)], set(), False
        while pending:
            place = pending.pop()
            if place in seen:
                continue
            seen.add(place)
            tensor = _tensor(place[1]) if place[0] == MAIN else None
            if tensor in wanted and tensor not in self._fed:
                found = True
                continue
            earlier = list(self._before(*place, through_variables=through_variables))
            if tensor in self._fed or not earlier:
                return False
            pending.extend(earlier)
        return found

    def _before(self, function: str, reference: str, *, through_variables: bool) -> Iterator[tuple[str, str]]:
        """Where the value was before it came here; nowhere, when it may have been made here."""
        name, nodes = node_name(reference), self._graph.main
        if function != MAIN:
            definitions = self._graph.functions[function]
            if any(name == argument.name for each in definitions for argument in each.signature.input_arg):
                yield from self._arguments(function, name)
                return
            nodes = {name: [node for each in definitions for node in each.node_def if node.name == name]}
        for node in nodes.get(name, ()):
            if node.op == "Identity" and node.input:
                yield function, node.input[0]
            elif through_variables and function == MAIN and node.op == "ReadVariableOp" and node.input:
                yield from ((MAIN, value) for value in self._kept_in(node_name(node.input[0])))

    def _arguments(self, function: str, name: str) -> Iterator[tuple[str, str]]:
        """What every caller hands over under this name; a caller that cannot be followed hands over nothing known."""
        (definition, *others) = self._graph.functions[function]
        position = [argument.name for argument in definition.signature.input_arg].index(name)
        for caller, node in self._graph.callers.get(function, ()):
            given = [each for each in node.input if not each.startswith("^")]
            plain = (node.op in _CALLS or node.op == function) and not others and position < len(given)
            yield (caller, given[position]) if plain else (caller, "")

    def _kept_in(self, variable: str) -> list[str]:
        """All values a variable of the main graph can take; none where somebody else may get at it."""
        values = []
        for _, node in self._graph.nodes():
            if node.op == "VarHandleOp" and node.name != variable and self._shares(node, variable):
                return []
        for node in self._graph.meta_graph.graph_def.node:
            if variable in map(node_name, node.input) and node.op not in _HARMLESS_USES:
                return []
            if node.op == "AssignVariableOp" and len(node.input) > 1 and node_name(node.input[0]) == variable:
                values.append(node.input[1])
        return values

    def _shares(self, node: Any, variable: str) -> bool:
        """Whether the two handles are, or may be, those of one variable."""
        (other, *more) = self._graph.main.get(variable) or [None]
        if other is None or more or other.op != "VarHandleOp" or _shared_name(node) is None:
            return True
        return _shared_name(node) == _shared_name(other)


def _shared_name(node: Any) -> bytes | None:
    """What two handles of one variable have in common; None in a function whose callers say it."""
    given = node.attr.get("shared_name")
    if given is not None and given.placeholder:
        return None
    return bytes(given.s if given is not None and given.s else node.name.encode())


def _asset_tensors(graph: Graph) -> Iterable[str]:
    return (_tensor(asset.tensor_info.name) for asset in graph.meta_graph.asset_file_def)


def _kinds(graph: Graph, tensor: str) -> set[str]:
    return {node.op for node in graph.main.get(node_name(tensor), ())}


def _tensor(reference: str) -> str:
    return reference if ":" in reference else f"{reference}:0"
