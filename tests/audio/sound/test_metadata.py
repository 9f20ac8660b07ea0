"""What a file holds besides its sound survives, or one line names what does not."""

import io
import struct
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from mutagen import id3
from mutagen.aiff import AIFF
from mutagen.flac import FLAC, Picture
from mutagen.mp3 import MP3
from mutagen.mp4 import MP4, MP4Cover, MP4FreeForm
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from diff_audio.sound.read import probe, read, read_blocks
from diff_audio.sound.write import Writer, container_for
from full_disk import full_disk
from media import encode

RATE = 16_000
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))


def copy(source, target):
    """Through our reader and writer, as the commands do; the notes of the writer."""
    found = probe(source)
    with Writer(target, found, *container_for(found, target)) as writer:
        for block in read_blocks(source):
            writer.write(block)
    np.testing.assert_allclose(read(target)[0][:, : found.frames], read(source)[0], atol=0.2)
    return writer.notes


def chunk(name, data, order="<"):
    return name + struct.pack(f"{order}I", len(data)) + data + bytes(len(data) % 2)


def chunks(path, order="<"):
    """An independent reader: name and body of each chunk, in order."""
    data, at, found = path.read_bytes(), 12, []
    assert struct.unpack_from(f"{order}I", data, 4)[0] == len(data) - 8
    while at < len(data):
        (size,) = struct.unpack_from(f"{order}I", data, at + 4)
        found.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    assert at == len(data)
    return found


BEXT = (
    b"Scene 12".ljust(256, b"\0") + b"Recorder".ljust(32, b"\0") + b"REF".ljust(32, b"\0")
    + b"2024-05-0110:20:30" + struct.pack("<QH", 37_230 * RATE, 1) + bytes(254) + b"A=PCM\r\n"
)  # fmt: skip
IXML = b"<BWFXML><SCENE>12</SCENE><TAKE>3</TAKE></BWFXML>."
CUE = struct.pack("<I", 1) + struct.pack("<II4sIII", 1, 100, b"data", 0, 0, 100)
LABELS = b"adtl" + chunk(b"labl", struct.pack("<I", 1) + b"Intro\0")
INFO = b"INFO" + chunk(b"INAM", b"My title\0") + chunk(b"IART", b"Me\0") + chunk(b"IENG", b"Eve\0")
BEFORE = [(b"bext", BEXT), (b"iXML", IXML)]
BEHIND = [(b"cue ", CUE), (b"LIST", LABELS), (b"LIST", INFO), (b"cart", b"odd")]


def field_recording(path):
    wave = np.random.default_rng(0).integers(-9999, 9999, 4000).astype(np.int16)
    form = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    body = b"".join(chunk(*one) for one in BEFORE) + chunk(b"fmt ", form)
    body += chunk(b"JUNK", bytes(28)) + chunk(b"data", wave.tobytes())
    body += b"".join(chunk(*one) for one in BEHIND)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body)
    return path


def test_chunks_of_a_recorder_are_copied_byte_for_byte(tmp_path):
    notes = copy(field_recording(tmp_path / "a.wav"), tmp_path / "b.wav")
    found = chunks(tmp_path / "b.wav")
    names = [name for name, _ in found]
    assert [one for one in found if one[0] in (b"bext", b"iXML")] == BEFORE
    assert found[-4:] == BEHIND and notes == ()
    assert (
        names.index(b"iXML") < names.index(b"fmt ") < names.index(b"data") < names.index(b"cue ")
    )
    assert b"JUNK" not in names and names.count(b"LIST") == 2
    before, after = (read(tmp_path / name)[0] for name in ("a.wav", "b.wav"))
    np.testing.assert_array_equal(before, after)
    assert probe(tmp_path / "b.wav").tags["title"] == "My title"


def test_chunks_survive_in_rf64_and_another_format_names_them(tmp_path):
    source = field_recording(tmp_path / "a.wav")
    assert copy(source, tmp_path / "b.rf64") == ()
    data = (tmp_path / "b.rf64").read_bytes()
    assert data[12:16] == b"ds64"
    assert struct.unpack_from("<Q", data, 20)[0] == len(data) - 8
    assert all(chunk(*one) in data for one in BEFORE + BEHIND)
    assert copy(tmp_path / "b.rf64", tmp_path / "c.rf64") == ()
    assert copy(tmp_path / "b.rf64", tmp_path / "c.wav") == ()
    assert {name for name, _ in chunks(tmp_path / "c.wav")} >= {b"bext", b"cue ", b"iXML"}
    for name in ("b.flac", "b.mp3"):
        (note,) = copy(source, tmp_path / name)
        assert note == "left out of the output: bext, iXML, cue, LIST adtl, cart"
        assert probe(tmp_path / name).tags["title"] == "My title"


def test_chunks_of_an_aiff_are_copied(tmp_path):
    path = tmp_path / "a.aiff"
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        file.title = "Title"
        file.write(np.random.default_rng(0).normal(0, 0.1, 4000))
    data = path.read_bytes()
    marks = struct.pack(">HHI", 1, 1, 100) + b"\x05Intro"
    data += chunk(b"MARK", marks, ">") + chunk(b"ANNO", b"a note", ">")
    path.write_bytes(data[:4] + struct.pack(">I", len(data) - 8) + data[8:])
    assert copy(path, tmp_path / "b.aiff") == ()
    found = chunks(tmp_path / "b.aiff", ">")
    assert (b"MARK", marks) in found and (b"ANNO", b"a note") in found
    assert [name for name, _ in found].count(b"NAME") == 1


def tags_of_a_podcast():
    return [
        id3.TIT2(encoding=3, text=["Títle"]), id3.TPE1(encoding=3, text=["Me", "You"]),
        id3.TPUB(encoding=3, text=["House"]), id3.TXXX(encoding=3, desc="mood", text=["calm"]),
        id3.COMM(encoding=3, lang="deu", desc="", text=["Hallo"]),
        id3.APIC(encoding=3, mime="image/png", type=3, desc="cover", data=PNG),
        id3.CHAP(element_id="c0", start_time=0, end_time=300,
                 sub_frames=[id3.TIT2(encoding=3, text=["Intro"])]),
        id3.CHAP(element_id="c1", start_time=300, end_time=700,
                 sub_frames=[id3.TIT2(encoding=3, text=["Talk"])]),
        id3.CTOC(element_id="toc", flags=3, child_element_ids=["c0", "c1"]),
        id3.TXXX(encoding=3, desc="REPLAYGAIN_TRACK_GAIN", text=["-3 dB"]),
    ]  # fmt: skip


def podcast(path, speechlike, version=4):
    soundfile.write(path, speechlike(0.7, RATE)[0], RATE, format="MP3")
    file = MP3(path)
    if file.tags is None:
        file.add_tags()
    for frame in tags_of_a_podcast():
        file.tags.add(frame)
    if version == 3:
        file.tags.update_to_v23()
    file.save(v2_version=version)
    return path


@pytest.mark.parametrize("version", [3, 4])
def test_all_tags_of_an_mp3_survive_but_for_replaygain(version, tmp_path, speechlike):
    source = podcast(tmp_path / "a.mp3", speechlike, version)
    (note,) = copy(source, tmp_path / "b.mp3")
    assert note == "left out of the output: ReplayGain (which told the level of the input)"
    before, after = MP3(source), MP3(tmp_path / "b.mp3")
    gone = {"TXXX:REPLAYGAIN_TRACK_GAIN"}
    assert set(after.tags) == set(before.tags) - gone
    for name in set(before.tags) - gone:
        assert after.tags[name] == before.tags[name]
    assert after.tags.version[1] == version and after.tags["CHAP:c1"].start_time == 300


@pytest.mark.parametrize("name", ["b.wav", "b.aiff"])
def test_tags_of_an_mp3_go_into_a_wav(name, tmp_path, speechlike):
    copy(podcast(tmp_path / "a.mp3", speechlike), tmp_path / name)
    tags = (WAVE if name == "b.wav" else AIFF)(tmp_path / name).tags
    assert tags["APIC:cover"].data == PNG and str(tags["TPUB"]) == "House"
    assert tags["CHAP:c1"].sub_frames["TIT2"].text == ["Talk"]
    assert not any("REPLAYGAIN" in key for key in tags)
    second = tmp_path / f"second_{name}"
    tags.add(id3.TXXX(encoding=3, desc="replaygain_track_gain", text=["-3 dB"]))
    tags.save(tmp_path / name)
    assert copy(tmp_path / name, second)[0].startswith("left out of the output: ReplayGain")
    again = (WAVE if name == "b.wav" else AIFF)(second).tags
    assert again["APIC:cover"].data == PNG and "TXXX:replaygain_track_gain" not in again


@pytest.mark.parametrize(("name", "kind"), [("b.flac", FLAC), ("b.ogg", OggVorbis)])
def test_tags_of_an_mp3_are_translated(name, kind, tmp_path, speechlike):
    copy(podcast(tmp_path / "a.mp3", speechlike), tmp_path / name)
    file = kind(tmp_path / name)
    assert file["artist"] == ["Me", "You"] and file["organization"] == ["House"]
    assert file["mood"] == ["calm"] and file["comment"] == ["Hallo"]
    assert file["chapter001"] == ["00:00:00.300"] and file["chapter001name"] == ["Talk"]
    assert "replaygain_track_gain" not in file
    back = tmp_path / "back.mp3"
    copy(tmp_path / name, back)
    tags = MP3(back).tags
    assert [frame.data for frame in tags.getall("APIC")] == [PNG]
    assert tags["TPE1"].text == ["Me", "You"] and tags["TXXX:mood"].text == ["calm"]


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.opus"])
def test_tags_of_flac_and_ogg_survive(name, tmp_path, speechlike):
    kind = {"a.flac": FLAC, "a.ogg": OggVorbis, "a.opus": OggOpus}[name]
    source = tmp_path / name
    subtype = {"a.opus": "OPUS"}.get(name)
    soundfile.write(source, speechlike(0.7, RATE)[0], RATE, subtype,
                    format="FLAC" if name == "a.flac" else "OGG")  # fmt: skip
    file = kind(source)
    if file.tags is None:
        file.add_tags()
    file["title"], file["albumartist"], file["isrc"] = ["A"], ["B", "C"], ["D"]
    file["replaygain_track_gain"], file["r128_track_gain"] = ["-3 dB"], ["9"]
    picture = Picture()
    picture.data, picture.mime, picture.type, picture.desc = PNG, "image/png", 3, "cover"
    if name == "a.flac":
        file.add_picture(picture)
    else:
        import base64

        file["metadata_block_picture"] = [base64.b64encode(picture.write()).decode()]
    file.save()
    for target in (tmp_path / f"b_{name}", tmp_path / "c.flac", tmp_path / "d.ogg"):
        (note,) = copy(source, target)
        assert "ReplayGain" in note and "," not in note
        found = (FLAC if target.suffix == ".flac" else kind if name in target.name else
                 OggOpus if name == "a.opus" else OggVorbis)(target)  # fmt: skip
        assert (found["title"], found["albumartist"], found["isrc"]) == (["A"], ["B", "C"], ["D"])
        assert not {"replaygain_track_gain", "r128_track_gain"} & set(found.keys())
        pictures = found.pictures if target.suffix == ".flac" else found["metadata_block_picture"]
        assert len(pictures) == 1


def test_tags_cover_and_chapters_of_an_m4a_survive(tmp_path, speechlike):
    facts = tmp_path / "facts.txt"
    facts.write_text(
        ";FFMETADATA1\ntitle=A\nartist=B\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=300\n"
        "title=Intro\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=300\nEND=700\ntitle=Talk\n"
    )
    source = encode(
        tmp_path / "a.m4a", speechlike(0.7, RATE), RATE,
        "-i", str(facts), "-map_metadata", "1", "-map_chapters", "1", "-c:a", "aac",
    )  # fmt: skip
    file = MP4(source)
    file["covr"] = [MP4Cover(PNG, imageformat=MP4Cover.FORMAT_PNG)]
    file["----:com.apple.iTunes:mood"] = [MP4FreeForm(b"calm")]
    file["----:com.apple.iTunes:replaygain_track_gain"] = [MP4FreeForm(b"-3 dB")]
    file.save()
    (note,) = copy(source, tmp_path / "b.m4a")
    assert "ReplayGain" in note and "," not in note
    found = MP4(tmp_path / "b.m4a")
    assert found["\xa9nam"] == ["A"] and bytes(found["covr"][0]) == PNG
    assert bytes(found["----:com.apple.iTunes:mood"][0]) == b"calm"
    assert "----:com.apple.iTunes:replaygain_track_gain" not in found
    assert [(c.start, c.title) for c in found.chapters] == [(0, "Intro"), (0.3, "Talk")]
    assert probe(source).tags == {"title": "A", "artist": "B"}
    copy(source, tmp_path / "c.flac")
    flac = FLAC(tmp_path / "c.flac")
    assert flac["title"] == ["A"] and flac["mood"] == ["calm"] and flac.pictures[0].data == PNG
    assert flac["chapter001name"] == ["Talk"]


def test_without_mutagen_one_line_names_what_is_left_out(tmp_path, speechlike, monkeypatch):
    source = podcast(tmp_path / "a.mp3", speechlike)
    flac = tmp_path / "a.flac"
    copy(source, flac)
    ogg = tmp_path / "a.ogg"
    copy(source, ogg)
    plain = tmp_path / "plain.mp3"
    soundfile.write(plain, speechlike(0.3)[0], RATE)
    recording = field_recording(tmp_path / "a.wav")
    monkeypatch.setitem(sys.modules, "mutagen", None)
    (note,) = copy(source, tmp_path / "b.mp3")
    assert note == (
        "left out of the output: TPUB, TXXX, chapters, pictures; to keep tags, "
        'pip install "diff-audio[tags]"'
    )
    assert probe(tmp_path / "b.mp3").tags["title"] == "Títle"
    for other in (flac, ogg):
        (note,) = copy(other, tmp_path / f"b{other.suffix}")
        assert "mood" in note and "pictures" in note and "diff-audio[tags]" in note
    assert copy(plain, tmp_path / "c.mp3") == ()
    assert copy(recording, tmp_path / "c.wav") == ()


def test_a_full_disk_is_told_where_chunks_are_copied(tmp_path):
    """The writer of such files stands between the library and the system."""
    source = field_recording(tmp_path / "a.wav")
    with full_disk(4000), pytest.raises(OSError, match="^the disk is full"):
        copy(source, tmp_path / "b.wav")


def test_damaged_tags_do_not_stop_the_sound(tmp_path, speechlike):
    source = podcast(tmp_path / "a.mp3", speechlike)
    data = bytearray(source.read_bytes())
    data[10:60] = np.random.default_rng(0).integers(0, 255, 50).astype(np.uint8).tobytes()
    source.write_bytes(data)
    copy(source, tmp_path / "b.mp3")
    buffer = io.BytesIO()
    soundfile.write(buffer, speechlike(0.3)[0], RATE, format="FLAC")
    odd = tmp_path / "c.flac"
    odd.write_bytes(buffer.getvalue().replace(b"reference", b"ref\xff\xfe\xfdnce"))
    copy(odd, tmp_path / "d.flac")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg", "a.m4a", "a.aiff"])
def test_a_mark_of_what_was_made_here_is_not_replaced(name, tmp_path, speechlike):
    """A command that marks its output as synthetic puts the mark where the old comment was."""
    source = tmp_path / name
    if name == "a.m4a":
        encode(
            source, speechlike(0.5, RATE), RATE, "-metadata", "comment=old", "-metadata", "title=A"
        )
    else:
        with soundfile.SoundFile(source, "w", RATE, 1, format=name[2:].upper()) as file:
            file.title, file.comment = "A", "old"
            file.write(speechlike(0.5, RATE)[0])
    found = probe(source)
    assert found.tags["comment"] == "old"
    marked = replace(found, tags=found.tags | {"comment": "Synthetic sound"})
    target = tmp_path / f"out_{name}"
    with Writer(target, marked, *container_for(marked, target)) as writer:
        for block in read_blocks(source):
            writer.write(block)
    assert probe(target).tags["comment"] == "Synthetic sound"
    assert probe(target).tags["title"] == "A" and b"old" not in target.read_bytes()
