"""One meta graph of a SavedModel: its nodes, its functions, and who reaches whom."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

# The main graph, where a function's name would stand.
MAIN = ""

_INIT_COLLECTIONS = ("legacy_init_op", "saved_model_main_op", "saved_model_train_op")


@dataclass(frozen=True)
class Reached:
    """Nodes of the main graph by name, and functions: to enter one is to run all of it."""

    nodes: frozenset[str]
    functions: frozenset[str]

    def __contains__(self, place: tuple[str, Any]) -> bool:
        function, node = place
        return node.name in self.nodes if function == MAIN else function in self.functions


class Graph:
    """What the file says, believed in nothing: names may be missing, taken twice, or go round in circles."""

    def __init__(self, meta_graph: Any) -> None:
        self.meta_graph = meta_graph
        self.main: dict[str, list[Any]] = _by_name(meta_graph.graph_def.node)
        library = meta_graph.graph_def.library
        self.functions: dict[str, list[Any]] = defaultdict(list)
        for function in library.function:
            self.functions[function.signature.name].append(function)
        self._gradients: dict[str, set[str]] = defaultdict(set)
        for each in library.gradient:
            self._gradients[each.function_name].add(each.gradient_func)
        self._twins = _twins(library.function)

    def nodes(self) -> Iterator[tuple[str, Any]]:
        """Every node there is, with the function it is in."""
        for node in self.meta_graph.graph_def.node:
            yield MAIN, node
        for function in self.meta_graph.graph_def.library.function:
            for node in function.node_def:
                yield function.signature.name, node

    def served(self) -> Reached:
        """What runs when a server loads the model or a client asks it, apart from restoring the variables."""
        signatures = self.meta_graph.signature_def.values()
        tensors = chain.from_iterable(tensor_names(info) for each in signatures for info in each.outputs.values())
        collections = [name for name in _INIT_COLLECTIONS if name in self.meta_graph.collection_def]
        return self._reached([*tensors, *self._listed(collections)])

    def restoring(self) -> Reached:
        """What a server runs to fill the variables."""
        return self._reached([self.meta_graph.saver_def.restore_op_name])

    def saving(self) -> Reached:
        """What no server runs: it writes the variables again."""
        return self._reached([self.meta_graph.saver_def.save_tensor_name])

    @cached_property
    def callers(self) -> dict[str, list[tuple[str, Any]]]:
        """By function: the nodes that may run it, each with the function it is in."""
        found: dict[str, list[tuple[str, Any]]] = defaultdict(list)
        for place, node in self.nodes():
            for name in self.called(node):
                found[name].append((place, node))
        return dict(found)

    def called(self, node: Any) -> set[str]:
        """The functions that a node may run."""
        named = {node.op} | set(_functions_in(node.attr.values()))
        return {each for name in named for each in self._same(name)} & self.functions.keys()

    def _reached(self, roots: Iterable[str]) -> Reached:
        nodes: set[str] = set()
        functions: set[str] = set()
        pending = [node_name(root) for root in roots]
        while pending:
            name = pending.pop()
            if name in nodes or name not in self.main:
                continue
            nodes.add(name)
            for node in self.main[name]:
                pending.extend(map(node_name, node.input))
                functions |= self.called(node)
        return Reached(frozenset(nodes), frozenset(self._closure(functions)))

    def _closure(self, functions: set[str]) -> set[str]:
        reached: set[str] = set()
        pending = list(functions)
        while pending:
            name = pending.pop()
            if name not in reached:
                reached.add(name)
                pending.extend(
                    called for each in self.functions[name] for node in each.node_def for called in self.called(node)
                )
        return reached

    def _same(self, name: str) -> set[str]:
        """The function, its gradient, and those the runtime may put in its place."""
        return {name} | self._gradients.get(name, set()) | self._twins.get(name, set())

    def _listed(self, collections: Iterable[str]) -> Iterator[str]:
        for name in collections:
            yield from self.meta_graph.collection_def[name].node_list.value


def node_name(reference: str) -> str:
    """Of `name:0`, `^name` or `name`."""
    return reference.removeprefix("^").partition(":")[0]


def tensor_names(info: Any) -> Iterator[str]:
    """The tensors of a TensorInfo, also of a sparse or a composite one."""
    yield from (info.name, info.coo_sparse.values_tensor_name, info.coo_sparse.indices_tensor_name)
    yield info.coo_sparse.dense_shape_tensor_name
    for part in info.composite_tensor.components:
        yield from tensor_names(part)


def _by_name(nodes: Iterable[Any]) -> dict[str, list[Any]]:
    named = defaultdict(list)
    for node in nodes:
        named[node.name].append(node)
    return dict(named)


def _functions_in(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        for function in (value.func, *value.list.func):
            if function.name:
                yield function.name
                yield from _functions_in(function.attr.values())


def _twins(functions: Iterable[Any]) -> dict[str, set[str]]:
    """Functions that say they implement the same thing: Grappler may choose another than the one called."""
    groups: dict[bytes, set[str]] = defaultdict(set)
    for function in functions:
        if "api_implements" in function.attr:
            groups[function.attr["api_implements"].s].add(function.signature.name)
    return {name: group for group in groups.values() for name in group}
