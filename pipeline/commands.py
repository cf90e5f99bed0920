"""Commands in messages, to be copied: who writes a message need not know the model, and who shows it does."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import UnderstudyError

# A message without a model says: run `understudy rollback --model <model> --to 3`.
_PLACEHOLDER = "--model <model>"


def with_model(text: str, model: str) -> str:
    """The text, with the name of the model in its commands."""
    return text.replace(_PLACEHOLDER, f"--model {model}")


@contextmanager
def naming(model: str) -> Iterator[None]:
    """Put the name of the model into the commands of an error that is raised inside the block."""
    try:
        yield
    except UnderstudyError as error:
        error.args = (with_model(str(error), model),)
        raise
