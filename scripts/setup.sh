#!/bin/sh
# Make .venv ready. `setup.sh run` installs what the platform needs, `setup.sh dev` the tests' tools too;
# `setup.sh ministack` makes .venv-ministack with the AWS emulator, and `setup.sh oracle` .venv-oracle with the SageMaker
# SDK that tests/oracle compares with: they pin other versions.
# Exact versions with hashes come from requirements/; a second call with nothing changed does nothing.
set -eu
cd "$(dirname "$0")/.."
kind=${1:?usage: setup.sh run|dev|ministack|oracle}
requirements=requirements/$kind.txt
case $kind in ministack | oracle) venv=.venv-$kind ;; *) venv=.venv ;; esac
stamp=$venv/.installed-$kind

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null; then
            printf '%s' "$name"
            return
        fi
    done
    say "Python 3.11 to 3.14 is needed and none was found. Install it, or name one: make PYTHON=/path/to/python3 ..."
    exit 1
}

wanted=$(cat "$requirements" pyproject.toml scripts/setup.sh | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then exit 0; fi

python=$(find_python)
if [ ! -x $venv/bin/python ]; then
    say "Making $venv with $("$python" --version)"
    "$python" -m venv $venv 2>.venv-error || {
        cat .venv-error >&2
        rm -rf $venv .venv-error
        say "No virtual environment could be made. On Debian and Ubuntu: apt-get install python3-venv"
        exit 1
    }
    rm -f .venv-error
fi
say "Installing $requirements (once; about a minute)"
# .pyc files are compiled here, whatever the caller's environment says: start-up is part of the product.
env -u PYTHONDONTWRITEBYTECODE $venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --require-hashes --requirement "$requirements"
if [ $venv = .venv ]; then
    env -u PYTHONDONTWRITEBYTECODE $venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --no-deps --no-build-isolation --editable .
    env -u PYTHONDONTWRITEBYTECODE $venv/bin/python -m compileall -q src training
fi
printf '%s' "$wanted" >"$stamp"
