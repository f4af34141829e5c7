"""Messages of several parts (RFC 2046), read as they come: the file inside need not fit into memory."""

from collections.abc import Iterable, Iterator

MAX_HEADER = 1 << 16


class BrokenMessageError(Exception):
    """A message that ends before its part does, or is none."""


def first_part(chunks: Iterable[bytes], boundary: bytes) -> Iterator[bytes]:
    """The content of a message's first part.

    Args:
        chunks: The message, in pieces of any size.
        boundary: What stands between its parts, as its ``Content-Type`` says.

    Raises:
        BrokenMessageError: The part does not end, or does not begin within `MAX_HEADER` bytes.
    """
    opening, closing = b"--" + boundary, b"\r\n--" + boundary
    held, inside = b"", False
    for chunk in chunks:
        held += chunk
        if not inside:
            start = held.find(opening)
            end = held.find(b"\r\n\r\n", start + len(opening)) if start >= 0 else -1
            if end < 0 and len(held) > MAX_HEADER:
                break
            if end < 0:
                continue
            held, inside = held[end + 4 :], True
        if (end := held.find(closing)) >= 0:
            yield held[:end]
            return
        safe = max(0, len(held) - len(closing) + 1)
        yield held[:safe]
        held = held[safe:]
    raise BrokenMessageError("the message ends within its first part")
