"""BatchingParameters: the text file behind --batching_parameters_file and batching_params.pbtxt."""

import os
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from serving.model_server import storage
from serving.model_server.flags import Flags
from serving.model_server.status import InvalidArgumentError

_MESSAGE = "tensorflow.serving.BatchingParameters"
_FIELDS = (
    ("max_batch_size", 1, "Int64Value"),
    ("batch_timeout_micros", 2, "Int64Value"),
    ("max_enqueued_batches", 3, "Int64Value"),
    ("num_batch_threads", 4, "Int64Value"),
    ("thread_pool_name", 5, "StringValue"),
    ("allowed_batch_sizes", 6, "repeated int64"),
    ("pad_variable_length_inputs", 7, "bool"),
    ("enable_large_batch_splitting", 8, "BoolValue"),
    ("max_execution_batch_size", 9, "Int64Value"),
)


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True)
class BatchingParameters:
    """Upstream's parameters and defaults; sizes count rows, which is the first dimension of every tensor."""

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = field(default_factory=_cpus)
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
    text = storage.read_text(uri)
    try:
        message = text_format.Parse(text, _message_type()())
    except text_format.ParseError as error:
        raise InvalidArgumentError(f"Invalid protobuf file: '{uri}' ({error})") from error
    return _from_message(message)


def _from_message(message: Any) -> BatchingParameters:
    given = {
        name: getattr(message, name).value
        for name, _, kind in _FIELDS
        if kind.endswith("Value") and message.HasField(name)
    }
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


@cache
def _message_type() -> Any:
    """The message class: no package contains it, so it is made from its fields.

    In a pool of its own, so that a package which does contain it can be imported into the same process.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name="tensorflow_serving/servables/tensorflow/session_bundle_config.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name=_MESSAGE.rpartition(".")[2])
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, number, kind in _FIELDS:
        one = message.field.add(name=name, number=number, label=kinds.LABEL_OPTIONAL)
        match kind:
            case "repeated int64":
                one.label, one.type = kinds.LABEL_REPEATED, kinds.TYPE_INT64
            case "bool":
                one.type = kinds.TYPE_BOOL
            case _:
                one.type, one.type_name = kinds.TYPE_MESSAGE, f".google.protobuf.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(_MESSAGE))
