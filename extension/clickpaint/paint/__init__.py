"""Painting with a diffusion model: what is asked for, what part of the picture is painted at which resolution, and the way back."""
