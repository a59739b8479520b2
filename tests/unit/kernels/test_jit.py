"""Where compiled kernels are kept, and that nobody else's settings are touched."""

from pathlib import Path

import numba
import pytest

from volgauge.kernels import _jit


def test_the_named_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NUMBA_CACHE_DIR is the base; the sources' digest is the folder in it."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "named"))

    assert tmp_path / "named" / _jit.source_digest()[:32] == _jit.cache_folder()


def test_else_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CACHE_HOME, under our own name."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert tmp_path / "volgauge" / "kernels" == _jit.cache_folder().parent


def test_a_folder_that_cannot_be_made_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels then live in a temporary folder for this run."""
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    folder = _jit.cache_folder()

    assert folder.is_dir()
    assert tmp_path not in folder.parents
    folder.rmdir()


def test_other_users_of_numba_keep_their_cache() -> None:
    """Decorating a kernel leaves numba's own setting as it was."""
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined] # set at run time

    _jit.kernel(lambda x: x)

    assert before == numba.config.CACHE_DIR  # type: ignore[attr-defined] # set at run time
    _jit._compiled.pop()
