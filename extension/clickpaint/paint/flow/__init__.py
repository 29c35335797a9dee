"""The flow-matching families: transformers that lead noise to pictures on straight ways (Liu et al., 2022; Lipman et al., 2022)."""
