"""Adversarial distillation: each player's own loss, gradients and penalty."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diff_core import Cosine, FromX0, uniform
from diff_core.distil import AdversarialDistillation, WithDiscriminator
from diff_core.exact import ExactDenoiser, Gaussian
from students import BATCH, GAUSSIAN, Linear, Rows, seeded


def player() -> WithDiscriminator:
    return WithDiscriminator(FromX0(Linear(), Cosine()), Linear())


def gradients(model: WithDiscriminator, objective: AdversarialDistillation) -> list[Tensor]:
    model.zero_grad()
    objective(model, BATCH, seeded()).mean().backward()
    return [p.grad for p in model.parameters() if p.grad is not None]


def test_each_player_has_gradients_of_its_own_loss_alone() -> None:
    times, teacher = uniform(2), FromX0(Linear(), Cosine())
    plain = gradients(player(), AdversarialDistillation(times, penalty=0.0))
    assert len(plain) == 4
    punished = gradients(player(), AdversarialDistillation(times, penalty=3.0))
    taught = gradients(player(), AdversarialDistillation(times, teacher, penalty=0.0))
    # the penalty is the discriminator's affair, the teacher the student's
    for a, b, c in zip(plain[:2], punished[:2], taught[:2], strict=True):
        torch.testing.assert_close(a, b)
        assert (a - c).abs() > 1e-4
    for a, b in zip(plain[2:], taught[2:], strict=True):
        torch.testing.assert_close(a, b)
    assert (plain[2] - punished[2]).abs() > 1e-4
    assert all(p.grad is None for p in teacher.parameters())


def test_a_judge_of_the_opposite_opinion_turns_the_student_round() -> None:
    # student f = x_s, judge Phi = a x_t
    model, objective = player(), AdversarialDistillation(uniform(1), penalty=0.0)
    for name, value in (("gain", 1.0), ("shift", 0.0)):
        model.denoiser.get_parameter(f"network.{name}").data.fill_(value)
    pushes, losses = [], []
    for a in (0.5, -0.5):
        model.discriminator.get_parameter("gain").data.fill_(a)
        student, _, _, offset = gradients(model, objective)
        pushes.append(student)
        losses.append(objective(model, BATCH, seeded()))
        assert abs(offset) < 1e-15  # real and fake are judged at one time
    assert pushes[0] * pushes[1] < 0
    # h(u) + h(-u), of both players, is even in u and so in a
    torch.testing.assert_close(*losses)


def test_penalty_is_the_squared_slope_at_real_and_fake() -> None:
    # Phi is the mean of gain x + shift t over D = 2 entries: its slope is gain / 2 at each
    times, model = uniform(1), player()
    free, held = (
        AdversarialDistillation(times, penalty=penalty)(model, BATCH, seeded())
        for penalty in (0.0, 3.0)
    )
    slope = model.discriminator.get_parameter("gain") / 2
    torch.testing.assert_close(held - free, (3.0 * 2 * slope**2).expand(64))
    with torch.no_grad():
        AdversarialDistillation(times)(model, BATCH, seeded())


def test_losses_of_a_constant_judge_and_of_a_perfect_student() -> None:
    # Phi = 0 everywhere: h(0) twice, no slope; what is left is the teacher's share
    model = player()
    for parameter in model.discriminator.parameters():
        parameter.data.zero_()
    times = uniform(1)
    loss = AdversarialDistillation(times)(model, BATCH, seeded())
    torch.testing.assert_close(loss, torch.full_like(loss, 2 * math.log(2)))
    # a certain x_0: student and teacher both know it
    exact = Gaussian(GAUSSIAN.mean, torch.zeros_like(GAUSSIAN.mean))
    teacher = ExactDenoiser(exact, Cosine())
    sure = WithDiscriminator(teacher, model.discriminator)
    loss = AdversarialDistillation(times, teacher)(sure, BATCH, seeded())
    torch.testing.assert_close(loss, torch.full_like(loss, 2 * math.log(2)))
    off = WithDiscriminator(Rows(Cosine(), lambda x, t: exact.mean[None] + 1), model.discriminator)
    assert (AdversarialDistillation(times, teacher)(off, BATCH, seeded()) > loss).all()
