"""What makes the bundled models and docs/benchmarks.md, from a checkout: not in the wheel."""
