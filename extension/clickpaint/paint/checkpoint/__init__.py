"""A loaded Stable Diffusion checkpoint as diffusers' and transformers' modules, on the very tensors of its source: nothing is copied."""
