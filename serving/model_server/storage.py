"""Where models and configs are read from: the local disk."""

from pathlib import Path

from serving.model_server.status import FailedPreconditionError, InvalidArgumentError, NotFoundError, UnimplementedError


def is_relative(uri: str) -> bool:
    return "://" not in uri and not uri.startswith("/")


def local(uri: str) -> Path:
    """The path behind a URI; a scheme this server cannot read raises UNIMPLEMENTED."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return Path(uri)
    if scheme != "file":
        raise UnimplementedError(f"File system scheme '{scheme}' not implemented (file: '{uri}')")
    return Path(rest)


def exists(uri: str) -> bool:
    """False too for what this process may not look at."""
    try:
        return local(uri).exists()
    except OSError:
        return False


def check_exists(uri: str) -> None:
    if not exists(uri):
        raise NotFoundError(f"{uri} not found")


def children(uri: str) -> list[str]:
    try:
        return sorted(child.name for child in local(uri).iterdir())
    except OSError as error:
        raise FailedPreconditionError(f"{uri}; {error.strerror}") from error


def read_text(uri: str) -> str:
    try:
        return local(uri).read_text("utf-8")
    except OSError as error:
        raise NotFoundError(f"{uri}; {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{uri} is not text: {error}") from error
