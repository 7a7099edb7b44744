#!/bin/sh
# Resolve pyproject.toml into requirements/: exact versions with hashes, and no index address.
set -eu
cd "$(dirname "$0")/.."
command -v uv >/dev/null 2>&1 || { echo "uv is needed: pip install uv" >&2; exit 1; }
lock() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header "$@"
}
compile() { lock pyproject.toml --extra ml --extra build "$@"; }
compile --extra aws --extra dev --output-file requirements/dev.txt
compile --constraint requirements/dev.txt --output-file requirements/run.txt
# The images: the API with boto3 and no ML library, the ML container with no API.
lock pyproject.toml --extra aws --constraint requirements/dev.txt --output-file requirements/api.txt
lock requirements/ml.in --constraint requirements/dev.txt --output-file requirements/ml.txt
# Not with the rest: they pin botocore and more.
lock requirements/ministack.in --output-file requirements/ministack.txt
lock pyproject.toml --extra oracle --output-file requirements/oracle.txt
