"""Messages in protobuf's text format, also of types that no installed package brings along."""

from collections.abc import Iterable
from typing import Any, TypeVar

from google.protobuf import descriptor_pb2, message_factory, text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from serving.model_server.storage import file_system
from serving.status import InvalidArgumentError

M = TypeVar("M", bound=Message)


def read(uri: str, message: M, *, secret: bool = False) -> M:
    """Fill the message from a file. Raises NOT_FOUND when it is missing, INVALID_ARGUMENT when it does not parse.

    The error has both texts of upstream: that of its protobuf library (type, line, column, reason), which upstream logs
    on a line of its own, and that of the status, which names the file.

    Args:
        uri: the file.
        message: what is filled.
        secret: whether the file holds a secret. Then the error has no reason, because the parser's reason quotes the
            file.
    """
    text = file_system.read_text(uri)
    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        position = f"{error.GetLine()}:{error.GetColumn()}"
        reason = "" if secret else ": " + str(error).removeprefix(f"{position} : ")
        parsed = f"Error parsing text-format {message.DESCRIPTOR.full_name}: {position}{reason}"
        problem = InvalidArgumentError(f"Invalid protobuf file: '{uri}' ({parsed})")
        # A traceback that is logged some day must not print the parser's reason either.
        raise problem from (None if secret else error)


def declare(file: str, name: str, *, imports: Iterable[FileDescriptor] = ()) -> Any:
    """The class of one message of a FileDescriptorProto in text format; `imports` are the files it depends on.

    It lives in a pool of its own, so that a package which brings the same message along some day does no harm.
    """
    pool = DescriptorPool()
    for imported in imports:
        pool.AddSerializedFile(imported.serialized_pb)
    pool.Add(text_format.Parse(file, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
