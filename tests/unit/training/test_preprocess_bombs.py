"""Files that grow are stopped by ratio and by bytes, before they fill the disk or the memory."""

import json
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from tests.support.corpus import growing, gzipped
from tests.support.preprocessing import job_folder, preprocess
from training.failure import JobError
from training.preprocess.limits import MEBIBYTE

ROOT = Path(__file__).resolve().parents[3]
LARGEST_FILE = 48 * MEBIBYTE
"""No file may grow beyond, by the kernel's order; the tables would need a hundred times more."""

_RUN = """
import json, resource, sys
from pathlib import Path
from training.paths import MlPaths
from training.preprocess.job import run
from training.preprocess.limits import Limits

root, largest, limits = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
report = run(MlPaths(root), limits=Limits(threads=1, **limits))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"codes": [each.code for each in report.quality.violations], "kilobytes": grown}))
"""


def zeros(gibibytes: int) -> bytes:
    """Of one line each 4 bytes: so many GiB in about a megabyte for each."""
    return gzipped(b"a,b\n" * (16 * MEBIBYTE)) * (16 * gibibytes)


@pytest.mark.parametrize(
    ("data", "limits", "code"),
    [
        pytest.param(zeros(4), {}, "decompression_ratio", id="by ratio"),
        pytest.param(growing(1100), {"max_bytes": 40 * MEBIBYTE}, "too_many_bytes", id="by bytes"),
    ],
)
def test_a_bomb_fills_neither_disk_nor_memory(data, limits, code, tmp_path):
    paths = job_folder(tmp_path / "job", data)
    command = [sys.executable, "-c", _RUN, str(paths.root), str(LARGEST_FILE), json.dumps(limits)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["codes"] == [code]
    assert found["kilobytes"] < 60_000
    assert not (paths.root / "scratch").exists()


def test_unpacking_leaves_room_on_the_disk(tmp_path, monkeypatch):
    """It is not the table's fault: the job fails with what to do, and can be run again."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 0, (1 << 30) - 1))
    with pytest.raises(JobError, match=r"1,023 MiB are free\. Make room"):
        preprocess(tmp_path, gzipped(b"a,b\n1,2\n"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10 << 30, 0, 600 << 20))
    assert preprocess(tmp_path, gzipped(b"a,b\n1,2\n")).violations == []
