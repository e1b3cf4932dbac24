"""Runs a function in fresh interpreters, each with another hash seed: what then differs is not simulated."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
BOOT: Final = """
import sys
from importlib import import_module
module, name = sys.argv[1].split(":")
sys.stdout.write(str(getattr(import_module(module), name)(*sys.argv[2:])))
"""


class RunFailed(Exception):
    """A fresh interpreter ended with an error."""


def outputs_of(target: str, *args: str, hash_seeds: tuple[int, ...] = (1, 2)) -> list[str]:
    """Give what a function (`package.module:function`), called with these arguments, returns under each hash seed.

    The interpreters run side by side.  What the function returns comes back as text, after what it wrote itself.
    """
    command = [sys.executable, "-c", BOOT, target, *args]
    runs = [
        subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for hash_seed in hash_seeds
    ]
    ends = [(*run.communicate(), run.returncode) for run in runs]
    for _, complaint, code in ends:
        if code != 0:
            raise RunFailed(complaint)
    return [output for output, _, _ in ends]
