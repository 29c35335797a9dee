"""Diffusion of our own: one denoising loop over diffusers' networks and schedulers, and engines composed of parts."""
