"""The baselines' own virtual environments, so that each runs with the packages it was released with."""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.serving.made import made
from bench.serving.processes import BenchError

LOCKS = Path(__file__).parent / "locks"


def environment(name: str, *, cache: Path) -> Path:
    """The `bin` folder of the environment that `locks/<name>.txt` lists; made when it is missing or outdated.

    Raises:
        BenchError: it cannot be installed here; the message is uv's own.
    """
    lock = LOCKS / f"{name}.txt"

    def make(folder: Path) -> None:
        _uv("venv", "--clear", "--python", sys.executable, str(folder))
        _uv("pip", "install", "--compile-bytecode", "--python", str(folder / "bin" / "python"), "-r", str(lock))

    return made(cache / f"{name}-{sys.version_info.major}.{sys.version_info.minor}", make, sources=[lock]) / "bin"


def _uv(*words: str) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise BenchError("uv is not installed: make setup-dev")
    done = subprocess.run([uv, "--quiet", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"uv {words[0]}: {done.stderr.strip()[-500:]}")
