"""What ends a benchmark before it has figures."""


class BenchError(Exception):
    """Says what is missing or went wrong, and what to do about it."""
