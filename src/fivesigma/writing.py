"""Files that are whole or not there."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["write_bytes", "write_json", "written"]


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A temporary name beside a path, renamed to it at the end, and removed after an error.

    The folder is made. The name has the number of the process, so that two may write the same.

    Raises:
        OSError: It cannot be written; the path is told, which Python leaves out of a full disk's.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):  # of a folder that is a file, say
            temporary.unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Write as JSON, see `written`.

    Raises:
        ValueError: a number in it is not finite.
        OSError: It cannot be written.
    """
    write_bytes(path, json.dumps(content, indent=1, allow_nan=False).encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, see `written`.

    Raises:
        OSError: It cannot be written.
    """
    with written(path) as temporary:
        temporary.write_bytes(content)
