"""Lists of words, written as they are read."""


def words(text: str) -> frozenset[str]:
    """Return the words of `text`, which stand apart by blanks."""
    return frozenset(text.split())
