"""What ends a release before there is one."""


class ReleaseError(Exception):
    """Says what is wrong with the sources, and what to do about it."""
