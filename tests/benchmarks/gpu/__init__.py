"""What a graphics card gives: `python -m tests.benchmarks.gpu`."""
