"""Values that the server, the client and the command line must agree on."""

from typing import Final

DEFAULT_DATA_DIR: Final = "mlops-data"
"""Where `mlops up` keeps everything, below the current directory, unless MLOPS_DATA_DIR or --data-dir says otherwise."""

SERVER_FILE: Final = "server.json"
"""Written by a running server into its data folder: {"url", "token", "pid"}."""
