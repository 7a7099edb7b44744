"""Values that the server, the client and the command line must agree on."""

from typing import Final

DEFAULT_DATA_DIR: Final = "mlops-data"
"""Where `mlops up` keeps everything, below the current directory. MLOPS_DATA_DIR and --data-dir say otherwise."""

SERVER_FILE: Final = "server.json"
"""Written by a running server into its data folder: {"url", "token", "pid"}."""
