from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from diff_audio.data.corpus import Clip, Corpus
from diff_audio.data.damage import coloured, scale_to_snr
from diff_audio.data.mixer import Mixer
from diff_audio.data.mixing import Mixing
from diff_audio.data.rooms import Rooms
from diff_audio.sound.level import active_level, frame_power

PLAIN = Mixing(gentle=0.0, silent=0.0, equaliser=0.0, room=0.0, band_limit=0.0)


def corpus(speakers: int = 4, noises: int = 2, seed: int = 0, rate: int = 16000) -> Corpus:
    """Speaker k hums at 200 (k + 1) Hz, so that a spectrum tells who speaks; noise is white."""
    rng = np.random.default_rng(seed)
    samples, clips, position = [], [], 0
    for kind, count in (("speech", speakers), ("noise", noises)):
        for k in range(count):
            time = np.arange(3 * rate) / rate
            tone = 0.2 * np.sin(2 * np.pi * 200 * (k + 1) * time)
            wave = tone if kind == "speech" else 0.1 * rng.standard_normal(len(time))
            samples.append(np.rint(wave * 32768).astype(np.int16))
            clips.append(Clip(kind, "train", "set", f"{kind}{k}", "CC0", position, len(wave)))
            position += len(wave)
    return Corpus(np.concatenate(samples), clips, rate)


def test_items_depend_on_seed_and_index_only() -> None:
    first, second = Mixer(corpus(), Mixing(), seed=3), Mixer(corpus(), Mixing(), seed=3)
    expected = [first[i] for i in range(12)]
    for i in reversed(range(12)):  # another order
        assert torch.equal(second[i]["clean"], expected[i]["clean"])
        assert torch.equal(second[i]["noisy"], expected[i]["noisy"])
    for a, b in itertools.combinations([*expected, Mixer(corpus(), Mixing(), seed=4)[0]], 2):
        assert not torch.equal(a["noisy"], b["noisy"])


@settings(max_examples=25, deadline=None)
@given(snr=st.floats(-20, 40), loudness=st.floats(1e-3, 1), seed=st.integers(0, 2**32))
def test_signal_to_noise_ratio_is_exact(snr: float, loudness: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    speech = np.float32(loudness) * rng.standard_normal(4000, dtype=np.float32)
    noise = scale_to_snr(speech, rng.standard_normal(4000, dtype=np.float32), snr)
    measured = 10 * np.log10(np.sum(speech.astype(np.float64) ** 2) / np.sum(noise**2.0))
    assert measured == pytest.approx(snr, abs=1e-3)


def test_items_have_the_ratio_that_was_asked_for() -> None:
    mixer = Mixer(corpus(), Mixing(**{**vars(PLAIN), "snr": (7.0, 7.0)}))
    for index in range(20):
        item = mixer[index]
        noise = item["noisy"] - item["clean"]
        ratio = 10 * torch.log10(item["clean"].square().sum() / noise.square().sum())
        assert ratio.item() == pytest.approx(7.0, abs=0.01)


def test_items_are_near_the_level_of_the_network() -> None:
    mixer = Mixer(corpus(), Mixing(level=3.0))
    for index in range(30):
        level = 20 * torch.log10(active_level(frame_power(mixer[index]["noisy"])))
        assert -29.1 < level.item() < -22.9


def test_length_and_finiteness_with_every_augmentation() -> None:
    always = Mixing(seconds=1.3, equaliser=1.0, room=1.0, band_limit=1.0, second=1.0)
    mixer = Mixer(corpus(), always)
    for index in range(20):
        item = mixer[index]
        assert item["clean"].shape == item["noisy"].shape == (20800,)
        assert item["clean"].dtype == torch.float32
        assert torch.isfinite(item["clean"]).all() and torch.isfinite(item["noisy"]).all()


def test_silent_speech_leaves_noise_alone() -> None:
    item = Mixer(corpus(), Mixing(silent=1.0))[0]
    assert not item["clean"].any()
    assert item["noisy"].square().mean() > 1e-4


@pytest.mark.parametrize(
    ("exponent", "decibels_per_octave"), [(0.0, 0.0), (1.0, -3.01), (2.0, -6.02)]
)
def test_coloured_noise_has_its_slope(exponent: float, decibels_per_octave: float) -> None:
    rng = np.random.default_rng(0)
    wave = coloured(rng, 1 << 18, exponent)
    assert np.mean(wave**2.0) == pytest.approx(1.0, rel=1e-3)
    power = np.abs(np.fft.rfft(wave.astype(np.float64))) ** 2
    frequency = np.fft.rfftfreq(len(wave), 1 / 16000)
    octaves = [(f, 2 * f) for f in (125, 250, 500, 1000, 2000, 4000)]
    levels = [10 * np.log10(power[(frequency >= a) & (frequency < b)].mean()) for a, b in octaves]
    slope = np.polyfit(range(len(levels)), levels, 1)[0]
    assert slope == pytest.approx(decibels_per_octave, abs=0.15)


def test_speech_is_of_one_speaker_and_babble_of_several() -> None:
    mixer = Mixer(corpus(speakers=6), PLAIN)

    def voices(wave: np.ndarray) -> int:
        spectrum = np.abs(np.fft.rfft(wave * np.hanning(len(wave))))
        peaks = [spectrum[round(200 * (k + 1) * len(wave) / 16000)] for k in range(6)]
        return sum(peak > 0.1 * max(peaks) for peak in peaks)

    rng = np.random.default_rng(0)
    assert {voices(mixer.item(rng).speech()) for _ in range(20)} == {1}
    assert max(voices(mixer.item(rng).babble()) for _ in range(20)) >= 3


def test_weights_choose_the_speakers() -> None:
    base = corpus(speakers=2)
    groups = ("rare", "often")
    clips = [
        Clip(c.kind, c.split, groups[i], c.speaker, c.licence, c.start, c.length)
        for i, c in enumerate(base.select("speech", "train"))
    ]
    samples = np.concatenate([np.rint(base.read(c) * 32768).astype(np.int16) for c in clips])
    mixer = Mixer(Corpus(samples, clips), Mixing(weights={"often": 9.0}))
    rng = np.random.default_rng(0)
    waves = [mixer.item(rng).speech() for _ in range(300)]
    high = sum(np.abs(np.fft.rfft(w))[800] > np.abs(np.fft.rfft(w))[400] for w in waves)
    assert 250 <= high <= 290  # 270 expected, deviation 5


def test_without_recorded_noise_coloured_noise_takes_its_place() -> None:
    mixer = Mixer(corpus(noises=0), Mixing(babble=0.0, coloured=0.0, silent=0.0))
    item = mixer[0]
    assert (item["noisy"] - item["clean"]).square().mean() > 0


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match="seconds"):
        Mixing(seconds=0)
    with pytest.raises(ValueError, match=r"coloured, babble and made.*0\.8, 0\.3 and"):
        Mixing(coloured=0.8, babble=0.3)
    with pytest.raises(ValueError, match="no speech for split 'val'"):
        Mixer(corpus(), Mixing(), split="val")
    with pytest.raises(ValueError, match=r"clip must be a probability in \[0, 1\], got 2"):
        Mixing(clip=2)
    with pytest.raises(ValueError, match="snr must be a range, low to high, got 5, 1"):
        Mixing(snr=(5, 1))
    with pytest.raises(ValueError, match="snr_law must be 'uniform' or 'normal'"):
        Mixing(snr_law="flat")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="codecs must be some of mulaw"):
        Mixing(codecs=("zip",))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pairs is 0.5, but the corpus has none for 'train'"):
        Mixer(corpus(), Mixing(pairs=0.5))
    with pytest.raises(ValueError, match="codec opus does not work at 22050 Hz"):
        Mixer(corpus(rate=22050), Mixing(codec=0.1, codecs=("opus",)))


EVERYTHING = Mixing(
    seconds=0.5,
    snr_law="normal",
    noises=3,
    simulated=0.5,
    rooms=Rooms(count=3, noises=1, decay=(0.15, 0.2)),
    clip=0.5,
    codec=0.5,
    codecs=("mulaw", "mp3", "vorbis"),
)


def test_items_are_the_same_whatever_the_number_of_workers() -> None:
    def batches(workers: int) -> list[torch.Tensor]:
        mixer: Any = Mixer(corpus(), EVERYTHING, seed=5)
        loader = DataLoader(mixer, 4, sampler=range(12), num_workers=workers)
        return [batch["noisy"] for batch in loader]

    alone = batches(0)
    for one, other in zip(alone, batches(2), strict=True):
        assert torch.equal(one, other)


def test_options_that_are_off_change_nothing() -> None:
    """A probability of 0 draws no number: items are those of the recipe without the option."""
    plain, tiny = Mixer(corpus(), Mixing()), Mixer(corpus(), Mixing(clip_db=(2, 3), noises=2))
    assert all(torch.equal(plain[i]["noisy"], tiny[i]["noisy"]) for i in range(10))


@pytest.mark.parametrize(("law", "spread"), [("uniform", 20 / 12**0.5), ("normal", 5 * 0.8796)])
def test_ratios_follow_their_law(law: Any, spread: float) -> None:
    """0.8796 is the standard deviation of a unit normal truncated at 2."""
    mixer = Mixer(corpus(), replace(PLAIN, snr=(-5.0, 15.0), snr_law=law, seconds=0.1))
    ratios = []
    for index in range(500):
        item = mixer[index]
        noise = item["noisy"] - item["clean"]
        ratios.append(10 * torch.log10(item["clean"].square().sum() / noise.square().sum()).item())
    assert -5.01 < min(ratios) and max(ratios) < 15.01
    assert np.mean(ratios) == pytest.approx(5, abs=4 * spread / 500**0.5)
    assert np.std(ratios) == pytest.approx(spread, rel=0.1)


def paired(rate: int = 16000) -> Corpus:
    """Two speakers; the noisy recording is the clean one upside down, so that it is known."""
    samples, clips, position = [], [], 0
    for kind in ("speech", "noisy"):
        for k in range(2):
            time = np.arange(rate) / rate
            wave = 0.2 * np.sin(2 * np.pi * 200 * (k + 1) * time + time**2)
            samples.append(np.rint((1 if kind == "speech" else -1) * wave * 32768))
            pair = k if kind == "noisy" else -1
            clips.append(Clip(kind, "train", "s", f"s/{k}", "", position, rate, "", pair))
            position += rate
    return Corpus(np.concatenate(samples).astype(np.int16), clips, rate)


def test_recorded_pairs_stay_aligned() -> None:
    mixer = Mixer(paired(), Mixing(pairs=1.0, seconds=1.7, level=0.0))
    for index in range(10):
        item = mixer[index]
        assert torch.equal(item["clean"], -item["noisy"])
        assert item["clean"].abs().max() > 0.01
        level = 20 * torch.log10(active_level(frame_power(item["noisy"])))
        assert level.item() == pytest.approx(-26, abs=0.1)


def test_pairs_and_mixtures_in_the_share_that_was_asked_for() -> None:
    mixer = Mixer(paired(), replace(PLAIN, pairs=0.3, seconds=0.2, snr=(0.0, 0.0)))
    items = [mixer[i] for i in range(300)]
    share = np.mean([torch.equal(item["clean"], -item["noisy"]) for item in items])
    assert 0.3 - 4 * 0.027 < share < 0.3 + 4 * 0.027


def test_another_rate_keeps_frequencies() -> None:
    mixer = Mixer(corpus(rate=22050), replace(PLAIN, seconds=1.0))
    assert mixer[0]["noisy"].shape == (22050,)
    spectrum = np.abs(
        np.fft.rfft(mixer.item(np.random.default_rng(0)).speech() * np.hanning(22050))
    )
    assert np.argmax(spectrum) % 200 == 0  # 1 Hz a bin


def test_clipping_and_coding_spare_the_target() -> None:
    plain = Mixer(corpus(), replace(PLAIN, level=0.0))
    for mixing in (replace(PLAIN, level=0.0, clip=1.0), replace(PLAIN, level=0.0, codec=1.0)):
        mixer = Mixer(corpus(), mixing)
        for index in range(4):
            before, after = plain[index], mixer[index]
            gain = (after["clean"] @ before["clean"]) / before["clean"].square().sum()
            torch.testing.assert_close(after["clean"], gain * before["clean"])
            assert not torch.allclose(after["noisy"], gain * before["noisy"], atol=1e-3)


def test_recorded_rooms_are_taken_from_the_corpus() -> None:
    base = corpus()
    response = np.zeros(2000, np.int16)
    response[[100, 1700]] = 16384, 8192  # an echo of half the sound after 0.1 s
    clips = [*base.clips, Clip("room", "train", "r", "r/1", "", len(base._samples), 2000)]
    with_room = Corpus(np.concatenate((base._samples, response)), clips)
    mixer = Mixer(with_room, replace(PLAIN, simulated=1.0, snr=(90.0, 90.0), level=0.0))
    clean, noisy = mixer[0]["clean"][8000:16000], mixer[0]["noisy"][8000:16000]
    # every hum has whole periods in 0.1 s, and the target loses the echo
    torch.testing.assert_close(noisy, 1.5 * clean, atol=2e-3, rtol=0)
    assert clean.abs().max() > 0.02


def test_an_item_names_its_files() -> None:
    base = corpus()
    clips = [replace(clip, file=f"/data/{clip.speaker}.wav") for clip in base.clips]
    mixer = Mixer(Corpus(base._samples, clips), replace(PLAIN, babble=0.0, coloured=0.0))
    named = [mixer.name(i) for i in range(20)]
    assert named == [mixer.name(i) for i in range(20)]
    for name in named:
        speech, noise = name.split(" + ")[0], name.split(" + ")[1:]
        assert speech.startswith("/data/speech") and 1 <= len(noise) <= 2
        assert all(file.startswith("/data/noise") for file in noise)
    quiet = base._samples.copy()  # the item whose speech is gone is that whose file is named
    victim = next(c for c in clips if c.file in named[0])
    quiet[victim.start : victim.start + victim.length] = 0
    muted = Mixer(Corpus(quiet, clips), replace(PLAIN, babble=0.0, coloured=0.0))
    assert not muted[0]["clean"].any() and mixer[0]["clean"].any()


def test_a_jump_puts_two_speakers_at_two_levels() -> None:
    """The second after the first, as far below it, or it below the second, as asked for."""
    jumping = Mixing(**{**vars(PLAIN), "seconds": 3.0, "jump": 1.0, "jump_db": (25.0, 25.0)})
    mixer = Mixer(corpus(speakers=2), jumping)
    found = set()
    for seed in range(12):
        wave = mixer.item(np.random.default_rng(seed)).two_levels()
        head, tail = wave[:8000], wave[-3000:]  # a turn lies within 0.2 to 0.8 of the item
        apart = 20 * np.log10(np.std(head) / np.std(tail))
        assert abs(apart) == pytest.approx(25.0, abs=2.0)  # pauses within the speech count
        found.add(apart > 0)
    assert found == {True, False}


def test_a_bed_of_hiss_lies_under_recorded_noise() -> None:
    """At its level: speech and babble of this corpus are a tone, and the rest is hiss."""
    plain = {**vars(PLAIN), "coloured": 0.0, "babble": 1.0, "snr": (0.0, 0.0), "voices": (1, 1)}
    hissing = {**plain, "bed": 1.0, "bed_db": (-10.0, -10.0)}
    same = corpus(speakers=1)
    bare = Mixer(same, Mixing(**plain))[0]
    bedded = Mixer(same, Mixing(**hissing))[0]

    def noise(item: dict[str, torch.Tensor]) -> np.ndarray:
        return (item["noisy"] - item["clean"]).double().numpy()

    def beside_the_tone(wave: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
        frequency = np.fft.rfftfreq(len(wave), 1 / 16000)
        return power[np.abs(frequency - 200) > 30].sum() / power.sum()

    assert beside_the_tone(noise(bare)) < 0.02
    assert beside_the_tone(noise(bedded)) == pytest.approx(0.1 / 1.1, abs=0.05)


def test_followed_items_are_near_the_level_in_both_halves() -> None:
    followed = Mixing(
        **{**vars(PLAIN), "seconds": 12.0, "level": 0.0, "follow": True, "jump": 1.0}
    )
    mixer = Mixer(corpus(speakers=2), followed)
    for index in range(8):
        noisy = mixer[index]["noisy"]
        ends = [noisy[:8000], noisy[-8000:]]
        levels = [float(20 * torch.log10(active_level(frame_power(end)))) for end in ends]
        assert all(-32.0 < level < -20.0 for level in levels)
