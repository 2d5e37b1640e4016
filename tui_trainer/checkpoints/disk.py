"""Every change the store makes on a disk, one call each, so that a test can record them or make them fail."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

CREATE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Disk:
    """The real disk. Each call raises OSError when the kernel refuses it."""

    def free_bytes(self, folder: Path) -> int:
        """Bytes that this user may still write below `folder`."""
        return shutil.disk_usage(folder).free

    def create(self, path: Path) -> int:
        """Makes a new file, readable as the umask allows, and returns its descriptor; never follows a link."""
        return os.open(path, CREATE_FLAGS, 0o644)

    def write(self, descriptor: int, content: memoryview) -> int:
        """Writes at least one byte of `content` and returns how many."""
        return os.write(descriptor, content)

    def sync(self, descriptor: int) -> None:
        """Returns once the file's bytes would survive a power loss."""
        if sys.platform == "darwin":
            import fcntl

            # Here fsync only reaches the drive's cache.
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Renames `source` to `target` in one step; what stood there before is gone."""
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Returns once the names in `folder` would survive a power loss."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            # Some network and FUSE file systems know no fsync of a folder.
            if error.errno != errno.EINVAL:
                raise
        finally:
            os.close(descriptor)

    def unlink(self, path: Path) -> None:
        """Removes a name; one that is not there is fine."""
        path.unlink(missing_ok=True)
