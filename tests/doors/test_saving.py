"""An attachment's name is a peer's word: it names a file here, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipcbus.doors.saving import file_name, free_path

pytestmark = pytest.mark.security


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("report.pdf", "report.pdf"),
        ("my report (2).pdf", "my report _2_.pdf"),
        ("../../.ssh/authorized_keys", "authorized_keys"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        (".bashrc", "bashrc"),
        ("..", "attachment"),
        ("", "attachment"),
        ("-rf", "rf"),
        ("a\x1b[2Jb\n", "a__2Jb_"),
        ("$(reboot)`x`;*", "__reboot__x___"),
        ("Grüße.txt", "Grüße.txt"),
        ("x" * 300, "x" * 200),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ("語" * 200 + ".pdf", "語" * 65 + ".pdf"),  # three bytes each
        ("x" + "語" * 200, "x" + "語" * 66),
        ("a." + "x" * 300, "a." + "x" * 198),  # that is no suffix
        ("caf\udce9.txt", "caf_.txt"),
    ],
)
def test_a_name_becomes_a_harmless_file_name(name: str, saved: str) -> None:
    assert file_name(name) == saved


@pytest.mark.parametrize("letter", ["x", "é", "語", "𐐷"])
def test_the_longest_name_fits_any_disk(tmp_path: Path, letter: str) -> None:
    """Also under a number, and with what a download is called until it is whole."""
    path = tmp_path / file_name(letter * 255 + ".tar.gz")
    path.touch()
    free = free_path(tmp_path, path.name)
    (tmp_path / f".{free.name}.12345678").touch()

    assert (path.suffix, free.suffix) == (".gz", ".gz")


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    (tmp_path / "a-1.log").symlink_to("nowhere")

    assert free_path(tmp_path, "a.log") == tmp_path / "a-2.log"
