"""`python -m training train|serve|preprocess|transform`: what the image's ENTRYPOINT runs."""

import importlib
import sys
from collections.abc import Sequence

from training.native_threads import tame

PROGRAMS = ("train", "serve", "preprocess", "transform")


def main(argv: Sequence[str]) -> int:
    """Run the program that `argv` names; returns its exit code, or 2 when there is no such program."""
    if not argv or argv[0] not in PROGRAMS:
        asked = f"unknown program {argv[0]!r}" if argv else "no program given"
        print(f"{asked}; one of: {', '.join(PROGRAMS)}", file=sys.stderr)
        return 2
    tame()
    # Only the program asked for is imported: `serve` of a linear model must not wait for scikit-learn.
    program = importlib.import_module(f"training.{argv[0]}")
    return int(program.main(list(argv[1:])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
