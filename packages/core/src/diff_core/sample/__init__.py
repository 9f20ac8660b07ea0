"""Samplers: `sample` walks a signal down a grid of times with any of them."""

from __future__ import annotations

from diff_core.sample.ancestral import Ancestral, Ddim
from diff_core.sample.loop import Denoise, Memory, OnStep, Plan, Sampler, levels, sample
from diff_core.sample.multistep import DpmSolverPP2M
from diff_core.sample.runge_kutta import Euler, Heun

__all__ = [
    "Ancestral",
    "Ddim",
    "Denoise",
    "DpmSolverPP2M",
    "Euler",
    "Heun",
    "Memory",
    "OnStep",
    "Plan",
    "Sampler",
    "levels",
    "sample",
]
