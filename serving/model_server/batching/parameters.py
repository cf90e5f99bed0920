"""BatchingParameters: the text file behind --batching_parameters_file and batching_params.pbtxt."""

from dataclasses import dataclass, field
from typing import Any

from google.protobuf import wrappers_pb2

from serving.model_server.cpus import usable_cpus
from serving.model_server.flags import Flags
from serving.model_server.storage import text_proto
from serving.status import InvalidArgumentError

BatchingParametersProto = text_proto.declare(
    """
    name: "session_bundle_config.proto" package: "tensorflow.serving" syntax: "proto3"
    dependency: "google/protobuf/wrappers.proto"
    message_type {
      name: "BatchingParameters"
      field {
        name: "max_batch_size" number: 1 type: TYPE_MESSAGE
        type_name: ".google.protobuf.Int64Value" label: LABEL_OPTIONAL
      }
      field {
        name: "batch_timeout_micros" number: 2 type: TYPE_MESSAGE
        type_name: ".google.protobuf.Int64Value" label: LABEL_OPTIONAL
      }
      field {
        name: "max_enqueued_batches" number: 3 type: TYPE_MESSAGE
        type_name: ".google.protobuf.Int64Value" label: LABEL_OPTIONAL
      }
      field {
        name: "num_batch_threads" number: 4 type: TYPE_MESSAGE
        type_name: ".google.protobuf.Int64Value" label: LABEL_OPTIONAL
      }
      field {
        name: "thread_pool_name" number: 5 type: TYPE_MESSAGE
        type_name: ".google.protobuf.StringValue" label: LABEL_OPTIONAL
      }
      field { name: "allowed_batch_sizes" number: 6 type: TYPE_INT64 label: LABEL_REPEATED }
      field { name: "pad_variable_length_inputs" number: 7 type: TYPE_BOOL label: LABEL_OPTIONAL }
      field {
        name: "enable_large_batch_splitting" number: 8 type: TYPE_MESSAGE
        type_name: ".google.protobuf.BoolValue" label: LABEL_OPTIONAL
      }
      field {
        name: "max_execution_batch_size" number: 9 type: TYPE_MESSAGE
        type_name: ".google.protobuf.Int64Value" label: LABEL_OPTIONAL
      }
    }
    """,
    "tensorflow.serving.BatchingParameters",
    imports=[wrappers_pb2.DESCRIPTOR],
)


@dataclass(frozen=True, kw_only=True)
class BatchingParameters:
    """Upstream's parameters and defaults; sizes count rows, which is the first dimension of every tensor."""

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = field(default_factory=usable_cpus)
    thread_pool_name: str = "batch_threads"
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 1000
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False

    @property
    def execution_limit(self) -> int:
        """The most rows that are run together."""
        return self.max_execution_batch_size if self.enable_large_batch_splitting else self.max_batch_size

    def rounded(self, size: int) -> int:
        """The size a batch is padded to; as upstream, the first allowed one that is enough, in the order given."""
        return next((allowed for allowed in self.allowed_batch_sizes if allowed >= size), size)

    def check(self) -> None:
        """Raise what upstream answers when a model is loaded with such parameters."""
        if self.allowed_batch_sizes and self.allowed_batch_sizes[-1] != self.max_batch_size:
            raise InvalidArgumentError(
                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was "
                f"{self.allowed_batch_sizes[-1]}; expected {self.max_batch_size}"
            )
        if self.max_batch_size == 0:
            raise InvalidArgumentError("input_batch_size_limit must be positive; was 0")
        if self.batch_timeout_micros < 0:
            raise InvalidArgumentError(f"batch_timeout_micros must be non-negative; was {self.batch_timeout_micros}")
        if self.max_enqueued_batches == 0 and self.enable_large_batch_splitting:
            raise InvalidArgumentError("max_enqueued_batches must be positive; was 0")
        if self.enable_large_batch_splitting and self.max_batch_size < self.max_execution_batch_size:
            # The numbers run together in upstream's text, too.
            raise InvalidArgumentError(
                "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
                f"max_execution_batch_size.1{self.max_batch_size}{self.max_execution_batch_size}"
            )


def parameters_for(flags: Flags) -> BatchingParameters | None:
    """What the flags ask for, None for no batching; raises StatusError for a file that is missing, bad or unwanted."""
    if flags.enable_batching:
        if flags.batching_parameters_file:
            return read_parameters(flags.batching_parameters_file)
        return BatchingParameters(thread_pool_name="model_server_batch_threads")
    if flags.batching_parameters_file:
        raise InvalidArgumentError(
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true."
        )
    return None


def read_parameters(uri: str) -> BatchingParameters:
    """Raise NOT_FOUND for a missing file, INVALID_ARGUMENT for one that does not parse."""
    return _from_message(text_proto.read(uri, BatchingParametersProto()))


def _from_message(message: Any) -> BatchingParameters:
    given = {one.name: value.value for one, value in message.ListFields() if one.message_type is not None}
    # As upstream: with splitting and neither of the two sizes this is 0, and every request finds the queue full.
    given.setdefault("max_execution_batch_size", message.max_batch_size.value)
    for name in given.keys() & {"max_batch_size", "max_enqueued_batches", "max_execution_batch_size"}:
        # As upstream, which reads a negative number as an unsigned one: no limit.
        given[name] %= 2**64
    return BatchingParameters(
        **given,
        allowed_batch_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
    )
