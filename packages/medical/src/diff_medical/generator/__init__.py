"""Synthetic scans: a diffusion model of slices, and one of small volumes.

from diff_medical.generator.model import Generator
from diff_medical.generator.request import Request
made = Generator.from_pretrained()([Request("t1", "head", "axial")])
made[0].values, made[0].affine
"""
