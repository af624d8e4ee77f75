"""Coverage-guided fuzzing of the parsers that are ours: Atheris drives the properties of `test_parsers`.

    pip install atheris   # not in the lock: no test needs it
    python tests/trust/fuzz_parsers.py --seconds 600

Each property gets a process of its own for as long as that. What breaks one is written beside its traceback, as
`crash-…` in the working folder, and ends the script with 1.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from importlib import import_module

LONGEST = 4096
"""Bytes that a property draws its example from."""


def properties() -> list[str]:
    return [name for name in vars(import_module("test_parsers")) if name.startswith("test_")]


def fuzz(name: str, seconds: int) -> None:
    """Look for what breaks a property; ends the process."""
    import atheris

    with atheris.instrument_imports(include=["mgn_ma.media", "mgn_ma.inference.finding"]):
        module = import_module("test_parsers")
    limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-len_control=0"]
    atheris.Setup([name, *limits], getattr(module, name).hypothesis.fuzz_one_input)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("properties", nargs="*", help="all, where none is named")
    parser.add_argument("--seconds", type=int, default=600, help="for each")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_process:
        fuzz(arguments.properties[0], arguments.seconds)
    failed = False
    for name in arguments.properties or properties():
        command = [sys.executable, __file__, name, "--seconds", str(arguments.seconds), "--in-process"]
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        done = re.search(r"#(\d+)\s+DONE\s+cov: (\d+)", ran.stdout)
        if ran.returncode or not done:
            failed = True
            print(f"{name}: broken\n{ran.stdout[-4000:]}", flush=True)
        else:
            print(f"{name}: {done[1]} examples, {done[2]} branches seen, none broken", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
