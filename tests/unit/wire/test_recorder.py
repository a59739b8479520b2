"""What is recorded can be read back, to the byte and to 100 ns."""

from pathlib import Path

import pytest
import zstandard

from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import InputError
from volgauge.wire.recorder import Recorder, stamp, write_recording
from volgauge.wire.replay import Recorded, read_recording

MIDNIGHT_NS = 1_797_552_000 * NANOS_PER_SECOND  # 2026-12-18T00:00:00Z


def test_the_stamp_has_28_characters_and_100_ns() -> None:
    """The receive time of the tardis raw layout."""
    assert stamp(MIDNIGHT_NS + 123_456_700) == b"2026-12-18T00:00:00.1234567Z"


async def test_frames_come_back_in_order_of_receipt(tmp_path: Path) -> None:
    """Two connections are merged by time; a line break inside a frame becomes a space."""
    recorder = Recorder(tmp_path)
    recorder.frame("deribit", "hot", MIDNIGHT_NS + 100, b'{"a":\n1}')
    recorder.frame("deribit", "wings", MIDNIGHT_NS + 200, b"{}")
    recorder.frame("deribit", "hot", MIDNIGHT_NS + 300, b"3")
    recorder.disconnected("deribit", "hot", MIDNIGHT_NS + 400, "test")
    await recorder.write()

    read = list(read_recording(tmp_path))

    assert [
        Recorded("deribit", "hot", MIDNIGHT_NS + 100, b'{"a": 1}'),
        Recorded("deribit", "wings", MIDNIGHT_NS + 200, b"{}"),
        Recorded("deribit", "hot", MIDNIGHT_NS + 300, b"3"),
        Recorded("deribit", "hot", MIDNIGHT_NS + 300, None),
    ] == read


async def test_slices_turn_with_the_minute_and_can_be_appended_to(tmp_path: Path) -> None:
    """Each flush is a whole zstd frame; a slice is the concatenation of its flushes."""
    recorder = Recorder(tmp_path)
    for second in (0, 30, 61):
        recorder.frame("v", "c", MIDNIGHT_NS + second * NANOS_PER_SECOND, b"%d" % second)
        await recorder.write()

    names = sorted(path.name for path in (tmp_path / "v" / "c").iterdir())
    frames = [recorded.frame for recorded in read_recording(tmp_path)]

    assert ["2026-12-18T00-00.jsonl.zst", "2026-12-18T00-01.jsonl.zst"] == names
    assert [b"0", b"30", b"61"] == frames


def test_a_slice_cut_short_by_a_crash_ends_at_its_last_whole_line(tmp_path: Path) -> None:
    """Half a line is not invented into a whole one."""
    folder = tmp_path / "v" / "c"
    folder.mkdir(parents=True)
    text = stamp(MIDNIGHT_NS) + b" {}\n" + stamp(MIDNIGHT_NS) + b' {"half'
    (folder / "2026-12-18T00-00.jsonl.zst").write_bytes(zstandard.compress(text))

    assert [b"{}"] == [recorded.frame for recorded in read_recording(tmp_path)]


def test_a_foreign_series_is_read_whatever_its_compression(tmp_path: Path) -> None:
    """The tardis raw layout: one file a minute, plain, gzip or zstd."""
    write_recording(tmp_path, {("v", "c"): [(MIDNIGHT_NS, b"zstd")]})
    (tmp_path / "v" / "c" / "2026-12-18T00-01.jsonl").write_bytes(
        stamp(MIDNIGHT_NS + 60 * NANOS_PER_SECOND) + b" plain\n"
    )

    assert [b"zstd", b"plain"] == [recorded.frame for recorded in read_recording(tmp_path)]


@pytest.mark.parametrize("content", [b"no time here, but a long enough line to look like one\n"])
def test_a_damaged_line_is_named(tmp_path: Path, content: bytes) -> None:
    """File and line number stand in the message."""
    folder = tmp_path / "v" / "c"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_bytes(content)

    with pytest.raises(InputError, match=r"a\.jsonl, line 1"):
        list(read_recording(tmp_path))


def test_an_empty_folder_is_no_recording(tmp_path: Path) -> None:
    """The message says what was expected."""
    with pytest.raises(InputError, match=r"\{venue\}/\{connection\}"):
        list(read_recording(tmp_path))
