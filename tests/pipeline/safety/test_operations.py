"""What a graph would do on a server besides computing; graphs are edited here as no exporter writes them."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from pipeline.safety.operation_effects import effect
from serving.apis import meta_graph_pb2, types_pb2
from serving.signature import NAME
from serving.tensorflow.op_defs import op_defs
from tests.pipeline.safety.scanning import graph, reasons


def function(meta_graph: Any, start: str) -> Any:
    """The one function whose name starts so."""
    (found,) = [
        each for each in meta_graph.graph_def.library.function if each.signature.name.startswith(f"__inference_{start}")
    ]
    return found


def served(meta_graph: Any) -> Any:
    return function(meta_graph, "serve_")


def add(nodes: Any, kind: str, *inputs: str, name: str = "added", **functions: str) -> Any:
    node = nodes.add(op=kind, name=name, input=inputs)
    for attribute, called in functions.items():
        node.attr[attribute].func.name = called
    return node


@pytest.mark.parametrize("name", ["own", "mobilenet", "plain", "prints_to_the_log", "table", "not_finite"])
def test_a_graph_that_only_computes_is_let_through(models: Path, name: str) -> None:
    """...with the saver every SavedModel has, and a table filled from an asset of the model."""
    assert [] == reasons(graph(models / name))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("writes", "op 'WriteFile' writes files: node 'WriteFile' of function '__inference_serve_"),
        ("prints", "op 'PrintV2' may name a file by its output_stream: node 'PrintV2' of function '__inference_serve_"),
        ("python", "op 'EagerPyFunc' runs Python: node 'EagerPyFunc' of function '__inference_serve_"),
        ("reads_dataset", "op 'TextLineDataset' reads files: node 'TextLineDataset' of function '__inference_Dataset"),
        ("in_a_branch", "op 'ReadFile' reads files: node 'ReadFile' of function '__inference_"),
        (
            "restores",
            "op 'RestoreV2' reads files, and a signature or the initialisation reaches it: node 'RestoreV2' of "
            "function '__inference_serve_",
        ),
    ],
)
def test_an_effect_is_refused_by_the_name_of_the_op_and_its_place(models: Path, name: str, problem: str) -> None:
    (found,) = reasons(graph(models / name))

    assert problem == found[: len(problem)]


def test_a_kind_no_stock_runtime_knows_is_refused(models: Path) -> None:
    edited = graph(models / "plain")
    add(served(edited).node_def, "MyTokenizer")
    (found,) = reasons(edited)

    assert "op 'MyTokenizer' is none that TensorFlow 2.21" == found[:45]
    assert f"node 'added' of function '{served(edited).signature.name}'" in found


def test_a_call_by_the_name_of_the_function_is_no_unknown_kind(models: Path) -> None:
    edited = graph(models / "plain")
    add(edited.graph_def.node, served(edited).signature.name)

    assert [] == reasons(edited)


def test_a_function_cannot_lend_its_name_to_an_op_of_the_runtime(models: Path) -> None:
    edited = graph(models / "plain")
    edited.graph_def.library.function.add().signature.name = "ReadFile"
    add(edited.graph_def.node, "ReadFile")

    assert ["op 'ReadFile' reads files: node 'added' of the main graph"] == reasons(edited)


def test_many_of_a_kind_are_summed_up(models: Path) -> None:
    edited = graph(models / "plain")
    for number in range(500):
        add(edited.graph_def.node, "ReadFile", name=f"n{number}")

    assert [
        "op 'ReadFile' reads files: node 'n0' of the main graph, node 'n1' of the main graph, node 'n2' of the main "
        "graph and 497 more"
    ] == reasons(edited)


def test_a_name_cannot_break_the_line_nor_fill_the_page(models: Path) -> None:
    edited = graph(models / "plain")
    add(edited.graph_def.node, "ReadFile", name="all is well\n" + "x" * 5000)
    (found,) = reasons(edited)

    assert "\n" not in found
    assert len(found) < 300


def reach_by_control_input(edited: Any) -> None:
    saver = function(edited, "_traced_save").signature.name
    (save,) = [node for node in edited.graph_def.node if node.attr["f"].func.name == saver]
    (serve,) = [node for node in edited.graph_def.node if node.name == "StatefulPartitionedCall"]
    serve.input.append(f"^{save.name}")


def reach_by_the_initialisation(edited: Any) -> None:
    edited.collection_def["saved_model_main_op"].node_list.value.append(edited.saver_def.restore_op_name)


def reach_by_a_function_attribute(edited: Any) -> None:
    saver = function(edited, "_traced_restore").signature.name
    add(served(edited).node_def, "PartitionedCall", f=saver)


def reach_by_a_list_of_functions(edited: Any) -> None:
    saver = function(edited, "_traced_restore").signature.name
    add(served(edited).node_def, "Case").attr["branches"].list.func.add(name=saver)


def reach_by_a_function_of_a_function(edited: Any) -> None:
    """An attribute of the function that is called, which its body then calls."""
    saver = function(edited, "_traced_restore").signature.name
    call = add(served(edited).node_def, "PartitionedCall", f=function(edited, "signature_wrapper").signature.name)
    call.attr["f"].func.attr["body"].func.name = saver


def reach_by_name(edited: Any) -> None:
    add(served(edited).node_def, function(edited, "_traced_restore").signature.name)


def reach_by_a_gradient(edited: Any) -> None:
    edited.graph_def.library.gradient.add(
        function_name=served(edited).signature.name, gradient_func=function(edited, "_traced_restore").signature.name
    )


def reach_by_a_twin(edited: Any) -> None:
    """Grappler may put one function in the place of another that says it implements the same."""
    for each in (served(edited), function(edited, "_traced_restore")):
        each.attr["api_implements"].s = b"lstm"


@pytest.mark.parametrize(
    "reach",
    [
        reach_by_control_input,
        reach_by_the_initialisation,
        reach_by_a_function_attribute,
        reach_by_a_list_of_functions,
        reach_by_a_function_of_a_function,
        reach_by_name,
        reach_by_a_gradient,
        reach_by_a_twin,
    ],
)
def test_the_saver_is_refused_where_more_than_the_saver_reaches_it(models: Path, reach: Callable[[Any], None]) -> None:
    edited = graph(models / "plain")
    reach(edited)
    found = reasons(edited)

    assert found
    assert all("a signature or the initialisation reaches it" in each for each in found)


def test_a_saver_no_one_calls_is_none(models: Path) -> None:
    edited = graph(models / "plain")
    edited.saver_def.Clear()

    assert {
        f"op '{kind}' {does}, and not as a part of the model's own saver"
        for kind, does in {
            "ShardedFilename": "names the files of a checkpoint",
            "SaveV2": "writes files",
            "MergeV2Checkpoints": "writes files",
            "RestoreV2": "reads files",
        }.items()
    } == {each.partition(":")[0] for each in reasons(edited)}


def test_what_saves_may_not_run_at_the_load(models: Path) -> None:
    edited = graph(models / "plain")
    edited.saver_def.restore_op_name = edited.saver_def.save_tensor_name.partition(":")[0]

    assert any("'SaveV2' writes files, and not as a part" in each for each in reasons(edited))


def test_the_load_restores_no_file_but_the_models_own(models: Path) -> None:
    """A constant in place of what the loader says would restore any file of the machine."""
    edited = graph(models / "plain")
    add(edited.graph_def.node, "Const", name="elsewhere")
    (restore,) = [node for node in edited.graph_def.node if node.name == edited.saver_def.restore_op_name]
    restore.input[0] = "elsewhere"
    (found,) = reasons(edited)

    assert "op 'RestoreV2' reads files, and not surely the model's own variables" == found.partition(":")[0]


def a_constant_path(edited: Any) -> None:
    add(edited.graph_def.node, "Const", name="elsewhere")
    (assign,) = [node for node in edited.graph_def.node if node.op == "AssignVariableOp"]
    assign.input[1] = "elsewhere"


def an_asset_that_has_a_value_of_its_own(edited: Any) -> None:
    (asset,) = [node for node in edited.graph_def.node if node.name == "asset_path_initializer"]
    asset.op = "Const"


def a_path_from_the_client(edited: Any) -> None:
    edited.signature_def[NAME].inputs["path"].name = "asset_path_initializer:0"


def a_path_from_the_client_further_on(edited: Any) -> None:
    edited.signature_def[NAME].inputs["path"].name = "ReadVariableOp:0"


def a_second_handle_of_the_variable(edited: Any) -> None:
    (kept,) = [node for node in edited.graph_def.node if node.op == "AssignVariableOp"]
    (handle,) = [node for node in edited.graph_def.node if node.name == kept.input[0]]
    other = add(served(edited).node_def, "VarHandleOp")
    other.attr["shared_name"].s = handle.attr["shared_name"].s or handle.name.encode()


def a_handle_given_away(edited: Any) -> None:
    (kept,) = [node for node in edited.graph_def.node if node.op == "AssignVariableOp"]
    add(edited.graph_def.node, "PartitionedCall", kept.input[0], f=served(edited).signature.name)


def a_second_caller(edited: Any) -> None:
    add(edited.graph_def.node, "Const", name="elsewhere")
    filler = function(edited, "_initializer").signature.name
    add(edited.graph_def.node, "PartitionedCall", "elsewhere", "elsewhere", f=filler)


def a_caller_that_cannot_be_followed(edited: Any) -> None:
    add(edited.graph_def.node, "MapDefun", f=function(edited, "_initializer").signature.name)


@pytest.mark.parametrize(
    "change",
    [
        a_constant_path,
        an_asset_that_has_a_value_of_its_own,
        a_path_from_the_client,
        a_path_from_the_client_further_on,
        a_second_handle_of_the_variable,
        a_handle_given_away,
        a_second_caller,
        a_caller_that_cannot_be_followed,
    ],
)
def test_a_table_is_filled_from_nothing_but_an_asset(models: Path, change: Callable[[Any], None]) -> None:
    edited = graph(models / "table")
    change(edited)
    (found,) = reasons(edited)

    assert (
        "op 'InitializeTableFromTextFileV2' reads files, and not surely an asset of the model"
        == found.partition(":")[0]
    )


def test_an_attribute_that_the_caller_fills_in_is_not_trusted(models: Path) -> None:
    edited = graph(models / "plain")
    add(served(edited).node_def, "PrintV2").attr["output_stream"].placeholder = "stream"

    assert [True] == ["may name a file by its output_stream" in each for each in reasons(edited)]


def test_circles_and_missing_names_are_no_trouble(models: Path) -> None:
    edited = graph(models / "plain")
    add(edited.graph_def.node, "Identity", "there", name="here")
    add(edited.graph_def.node, "Identity", "here", "nowhere", name="there")
    add(edited.graph_def.node, "InitializeTableFromTextFileV2", "there", "here", name="table")
    edited.signature_def[NAME].outputs["more"].name = "there:0"
    add(served(edited).node_def, "PartitionedCall", f=served(edited).signature.name)
    (found,) = reasons(edited)

    assert "node 'table' of the main graph" in found


# Each with a sibling that only computes and is named much like it.
TOUCHING = {
    "ReadFile": "ReadVariableOp",
    "MatchingFiles": "RegexFullMatch",
    "TFRecordDatasetV2": "TensorSliceDataset",
    "ExperimentalSqlDataset": "ExperimentalScanDataset",
    "CSVDatasetV2": "DecodeCSV",
    "SnapshotDatasetV2": "Snapshot",
    "CacheDatasetV2": "AnonymousMemoryCache",
    "SaveSlices": "Slice",
    "RestoreSlice": "ResourceGather",
    "WriteScalarSummary": "ScalarSummary",
    "WholeFileReaderV2": "IdentityN",
    "ImmutableConst": "Const",
    "PyFuncStateless": "StatelessIf",
    "RpcServerStart": "Reshape",
    "DataServiceDatasetV4": "TensorDataset",
    "DebugIdentityV2": "DebugGradientIdentity",
    "XlaHostCompute": "XlaDot",
    "XlaCustomCallV2": "XlaConvV2",
    "TPUExecute": "PartitionedCall",
    "DatasetFromGraph": "DatasetToGraphV2",
    "CollectiveReduceV2": "ReduceJoin",
    "_Send": "Sum",
    "Abort": "Abs",
}


def nodes_of(kinds: Iterable[str]) -> list[Any]:
    nodes = meta_graph_pb2.MetaGraphDef().graph_def.node
    return [nodes.add(op=kind, name=kind) for kind in kinds]


def test_families_are_refused_and_their_namesakes_are_not() -> None:
    both = TOUCHING.keys() | TOUCHING.values()

    assert both <= op_defs().keys()
    assert TOUCHING.keys() == {node.op for node in nodes_of(both) if effect(node) is not None}


def test_no_registered_kind_that_takes_a_place_is_overlooked() -> None:
    """A TensorFlow that brings one more is noticed here: what it does with a file or an address has to be judged."""
    place = re.compile(r"file|path|address|_urls?$|dir$|^patterns?$|prefix")
    taking = {
        name
        for name, op in op_defs().items()
        if any(place.search(each.name) and each.type == types_pb2.DT_STRING for each in op.input_arg)
        or any(place.search(each.name) and each.type in {"string", "list(string)"} for each in op.attr)
    }
    judged_by_attribute = {"FixedUnigramCandidateSampler"}
    computing = {
        *("RegexFullMatch", "RegexReplace", "StaticRegexFullMatch", "StaticRegexReplace"),
        *("SetStatsAggregatorDataset", "ExperimentalSetStatsAggregatorDataset"),
    }

    assert len(taking) > 50
    assert judged_by_attribute | computing == {node.op for node in nodes_of(taking) if effect(node) is None}
