"""What tests of faults share."""

import shutil
import subprocess

import pytest


@pytest.fixture
def small_disk(project):
    """A directory of 64 KiB in a project, where one may be mounted."""
    disk = project.path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("may not mount a small disk here")
    yield disk
    subprocess.run(["umount", disk], check=True)
