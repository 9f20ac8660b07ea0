from __future__ import annotations

import pytest
import torch

from diff_audio.text import SYMBOLS, encode, phonemes
from diff_audio.voice.model import Encoded, Voice, best_durations
from diff_audio.voice.speaker import cut
from diff_audio.voice.training.objective import Speaking
from diff_core.noise import Keyed

TEXTS = ("Hello there.", "A long road.", "No.")


@pytest.fixture(scope="module")
def voice() -> Voice:
    """With random weights everywhere, also where training starts at zero."""
    torch.manual_seed(0)
    model = Voice(
        len(SYMBOLS), 10, 2, width=16, depth=2, heads=2, decoder_width=16, dilations=(1, 2)
    )
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    model.band_mean, model.band_std = torch.linspace(-6, -3, 10), torch.linspace(1, 2, 10)
    return model.eval()


def batch(texts: tuple[str, ...] = TEXTS) -> tuple[torch.Tensor, torch.Tensor]:
    rows = [torch.tensor(encode(phonemes(text))) for text in texts]
    tokens = torch.tensor([len(row) for row in rows])
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), tokens


@torch.no_grad()
def test_a_text_is_spoken_in_a_batch_as_it_is_alone(voice: Voice) -> None:
    symbols, tokens = batch()
    speakers = torch.tensor([0, 1, 0])
    encoded = voice.encode(symbols, tokens, speakers)
    durations = voice.durations(encoded)
    mels = voice.speak(encoded, durations, Keyed([1, 2, 3]), temperature=0.0)
    for row, length in enumerate(tokens.tolist()):
        alone = voice.encode(
            symbols[row : row + 1, :length], tokens[row : row + 1], speakers[row : row + 1]
        )
        assert torch.allclose(alone.log_frames, encoded.log_frames[row, :length], atol=1e-5)
        steps = voice.durations(alone)
        assert torch.equal(steps[0], durations[row, :length])
        mel = voice.speak(alone, steps, Keyed([7]), temperature=0.0)
        assert torch.allclose(mel[0], mels[row, :, : mel.shape[2]], atol=1e-4)


@torch.no_grad()
def test_seed_temperature_and_speaker_matter(voice: Voice) -> None:
    symbols, tokens = batch(("Hello there.",))
    first = voice.encode(symbols, tokens, torch.tensor([0]))
    second = voice.encode(symbols, tokens, torch.tensor([1]))
    durations = voice.durations(first)

    def say(encoded: Encoded, seed: int, temperature: float) -> torch.Tensor:
        return voice.speak(encoded, durations, Keyed([seed]), temperature=temperature)

    usual = say(first, 0, 0.667)
    assert torch.equal(usual, say(first, 0, 0.667))
    assert not torch.allclose(usual, say(first, 1, 0.667), atol=1e-2)
    assert not torch.allclose(usual, say(first, 0, 0.0), atol=1e-2)
    assert not torch.allclose(usual, say(second, 0, 0.667), atol=1e-3)


def test_durations_round_ends_and_not_themselves(voice: Voice) -> None:
    exact = torch.tensor([[1.4, 1.4, 1.4, 1.4, 1.4, 0.2, 9.0]])
    encoded = Encoded(
        torch.zeros(1, 7, 1), torch.zeros(1, 7, 1), exact.log1p(), torch.zeros(1, 1),
        torch.tensor([6]),
    )  # fmt: skip
    # ends 1.4, 2.8, 4.2, 5.6, 7 and, a symbol lasting a frame at least, 8
    assert voice.durations(encoded).tolist() == [[1, 2, 1, 2, 1, 1, 0]]
    assert int(voice.durations(encoded, rate=0.5).sum()) == 16


@torch.no_grad()
def test_an_untrained_flow_is_that_of_a_gaussian() -> None:
    """E[x_0 | x_t] for x_0 ~ N(0, s^2): regression on x_t = (1 - t) x_0 + t z."""
    model = Voice(len(SYMBOLS), 10, width=16, heads=2, decoder_width=16, dilations=(1,)).eval()
    symbols, tokens = batch(("No.",))
    encoded = model.encode(symbols, tokens, torch.tensor([0]))
    mean, cond = model.condition(encoded, model.durations(encoded))
    x_t = torch.randn(mean.shape)
    for t in (0.0, 0.3, 0.8, 1.0):
        variance = 0.6**2
        expected = (1 - t) * variance / (t**2 + (1 - t) ** 2 * variance) * x_t
        found = model.denoiser(x_t, torch.tensor(t), cond)
        assert torch.allclose(found, expected, atol=1e-5)


def test_the_best_durations_are_those_that_the_mel_was_made_with(voice: Voice) -> None:
    symbols, tokens = batch(TEXTS[:2])
    generator = torch.Generator().manual_seed(3)
    mean = 3 * torch.randn(2, symbols.shape[1], 10, generator=generator)
    durations = torch.randint(1, 6, symbols.shape, generator=generator)
    durations *= torch.arange(symbols.shape[1]) < tokens[:, None]
    encoded = Encoded(mean, mean, torch.zeros(symbols.shape), torch.zeros(2, 1), tokens)
    x, _ = voice.condition(
        Encoded(torch.zeros(2, symbols.shape[1], 16), mean, encoded.log_frames,
                torch.zeros(2, 32), tokens),
        durations,
    )  # fmt: skip
    found = best_durations(x, encoded, durations.sum(1))
    assert torch.equal(found, durations)
    # a strong pull keeps to given durations, whatever the mel says
    spoken = torch.arange(symbols.shape[1]) < tokens[:, None]
    other = spoken.long()
    other[:, 0] += (durations - other).sum(1)
    assert torch.equal(best_durations(x, encoded, durations.sum(1), other, 1e6), other)


def test_the_loss_is_that_of_each_text_alone(voice: Voice) -> None:
    symbols, tokens = batch()
    generator = torch.Generator().manual_seed(0)
    frames = tokens * 3
    durations = torch.full(symbols.shape, 3) * (torch.arange(symbols.shape[1]) < tokens[:, None])
    mel = voice.band_mean[:, None] + torch.randn(3, 10, int(frames.max()), generator=generator)
    whole = {
        "mel": mel, "frames": frames, "symbols": symbols, "tokens": tokens,
        "durations": durations, "speaker": torch.zeros(3, dtype=torch.int64),
    }  # fmt: skip
    found = Speaking().terms(voice, whole, torch.Generator().manual_seed(1))
    for row in range(3):
        n, j = int(tokens[row]), int(frames[row])
        alone = {
            "mel": mel[row : row + 1, :, :j], "frames": frames[row : row + 1],
            "symbols": symbols[row : row + 1, :n], "tokens": tokens[row : row + 1],
            "durations": durations[row : row + 1, :n], "speaker": torch.zeros(1).long(),
        }  # fmt: skip
        terms = Speaking().terms(voice, alone, torch.Generator().manual_seed(1))
        for name in ("prior", "duration"):  # the flow's noise is drawn for the batch
            assert torch.allclose(terms[name][0], found[name][row], rtol=1e-4)


def test_means_that_say_nothing_leave_the_variance_of_the_mel() -> None:
    model = Voice(len(SYMBOLS), 10, width=16, heads=2, decoder_width=16, dilations=(1,)).eval()
    symbols, tokens = batch(("No.",))
    mel = torch.randn(1, 10, 12, generator=torch.Generator().manual_seed(0))
    item = {
        "mel": mel, "frames": torch.tensor([12]), "symbols": symbols, "tokens": tokens,
        "durations": torch.tensor([[12 - len(symbols[0]) + 1] + [1] * (len(symbols[0]) - 1)]),
        "speaker": torch.tensor([0]),
    }  # fmt: skip
    torch.nn.init.zeros_(model.encoder.mean.bias)
    terms = Speaking().terms(model, item, torch.Generator())
    assert torch.allclose(terms["prior"], 0.5 * mel.square().mean())


def test_long_sentences_are_cut_between_words() -> None:
    symbols = phonemes(" ".join(["one, two three"] * 60)).phonemes
    pieces = cut(symbols, most=50)
    assert max(map(len, pieces)) <= 50 and len(pieces) > 10
    assert [p for piece in pieces for p in piece if p != " "] == [p for p in symbols if p != " "]
    assert all(piece[-1] == "," for piece in pieces[:-1])
    assert cut(("AA1",) * 7, most=3) == [("AA1",) * 3, ("AA1",) * 3, ("AA1",)]
    assert cut(symbols[:20], most=50) == [symbols[:20]]
