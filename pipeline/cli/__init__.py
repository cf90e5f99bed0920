"""The command line: one verb per step of a release, the same as a local process, a pod, or by hand."""

from pipeline.cli.app import app

__all__ = ["app"]
