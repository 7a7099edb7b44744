"""Run a command and draw its output as an SVG, for the README.

python scripts/terminal_svg.py docs/demo.svg "make demo" -- .venv/bin/mlops demo
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 112


def main() -> int:
    target, title, dashes, *command = sys.argv[1:]
    if dashes != "--" or not command:
        sys.stderr.write(__doc__ or "")
        return 2
    environ = os.environ | {"COLUMNS": str(WIDTH), "FORCE_COLOR": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ, check=False)  # noqa: S603 - the caller's own command
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {title}", style="bold green"))
    console.print(Text.from_ansi(done.stdout.decode()))
    # No font from another host: the viewer's own fixed-width one will do.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title=title), flags=re.DOTALL)
    Path(target).write_text(drawn.replace("Fira Code, ", ""))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
