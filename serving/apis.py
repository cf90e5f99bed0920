"""TensorFlow Serving's protocol messages and stubs, without TensorFlow.

`tensorflow_serving.apis` needs only the generated messages under `tensorflow.core`, yet importing them runs
`tensorflow/__init__.py`: seconds of start-up and hundreds of megabytes for a client that sends one request.
So the messages are imported while a bare module replaces the parent package: it has the real `__path__`,
and none of the real `__init__`. The stand-in is removed afterwards, and a later `import tensorflow` in the
same process finds the messages already loaded and works as usual.

Everyone who needs these messages takes them from here.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def _bare_parent(name: str) -> Iterator[None]:
    """Let submodules of `name` be imported without running its `__init__`; one already loaded is left as it is."""
    if name in sys.modules:
        yield
        return
    spec = importlib.util.find_spec(name)
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError(f"{name} is not installed; install the packages of requirements.txt")
    parent = ModuleType(name)
    parent.__path__ = list(spec.submodule_search_locations)
    parent.__spec__ = spec
    sys.modules[name] = parent
    try:
        yield
    finally:
        del sys.modules[name]


with _bare_parent("tensorflow"):
    from tensorflow.core.example import example_pb2, feature_pb2
    from tensorflow.core.framework import op_def_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
    from tensorflow.core.protobuf import (
        config_pb2,
        error_codes_pb2,
        meta_graph_pb2,
        rewriter_config_pb2,
        saved_model_pb2,
        tensor_bundle_pb2,
    )
    from tensorflow_serving.apis import (
        classification_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        inference_pb2,
        input_pb2,
        model_management_pb2,
        model_pb2,
        model_service_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_log_pb2,
        prediction_service_pb2,
        prediction_service_pb2_grpc,
        regression_pb2,
        status_pb2,
    )
    from tensorflow_serving.config import file_system_storage_path_source_pb2, model_server_config_pb2

# The only field of a model's metadata: what GetModelMetadata must be asked for.
SIGNATURE_DEF = "signature_def"

__all__ = [
    "SIGNATURE_DEF",
    "classification_pb2",
    "config_pb2",
    "error_codes_pb2",
    "example_pb2",
    "feature_pb2",
    "file_system_storage_path_source_pb2",
    "get_model_metadata_pb2",
    "get_model_status_pb2",
    "inference_pb2",
    "input_pb2",
    "meta_graph_pb2",
    "model_management_pb2",
    "model_pb2",
    "model_server_config_pb2",
    "model_service_pb2",
    "model_service_pb2_grpc",
    "op_def_pb2",
    "predict_pb2",
    "prediction_log_pb2",
    "prediction_service_pb2",
    "prediction_service_pb2_grpc",
    "regression_pb2",
    "rewriter_config_pb2",
    "saved_model_pb2",
    "status_pb2",
    "tensor_bundle_pb2",
    "tensor_pb2",
    "tensor_shape_pb2",
    "types_pb2",
]
