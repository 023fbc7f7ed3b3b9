"""Server-sent events without I/O: bytes in, complete events out, however the network cut them.

`Splitter.blocks` gives raw events to forward, `payload` their data, `Splitter.feed` both steps in one.
"""

DONE = b"[DONE]"
MAX_EVENT_BYTES = 1 << 20
MAX_STREAM_BYTES = 64 << 20


class EventTooLarge(Exception):
    """One event, or the whole stream, is longer than the limit."""


class Splitter:
    """Cuts one stream at its blank lines. LF, CRLF and CR line ends are understood; blocks hold LF only."""

    __slots__ = ("_buffer", "_fresh", "_skip_lf", "bytes_seen", "max_event", "max_stream")

    def __init__(self, *, max_event: int = MAX_EVENT_BYTES, max_stream: int = MAX_STREAM_BYTES) -> None:
        self.max_event = max_event
        self.max_stream = max_stream
        self.bytes_seen = 0
        self._buffer = bytearray()
        self._skip_lf = False
        self._fresh = True

    def feed(self, data: bytes) -> list[bytes]:
        """Payloads of the events that `data` completes; comments and events without data are dropped."""
        found = [payload(block) for block in self.blocks(data)]
        return [item for item in found if item is not None]

    def blocks(self, data: bytes) -> list[bytes]:
        """Raw events that `data` completes, without their closing blank line. Raises EventTooLarge."""
        self.bytes_seen += len(data)
        if self.bytes_seen > self.max_stream:
            raise EventTooLarge(f"The stream is longer than {self.max_stream} bytes.")
        if self._skip_lf or b"\r" in data:
            data = self._to_lf(data)
        if self._fresh:
            data = self._without_byte_order_mark(data)
        return self._cut(data)

    def flush(self) -> list[bytes]:
        """Payloads left at the end of the stream: a last event whose blank line never came."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        last = payload(rest) if rest.endswith(b"\n") or rest.strip() == b"data: " + DONE else None
        return [] if last is None else [last]

    def _cut(self, data: bytes) -> list[bytes]:
        buffer = self._buffer
        if not buffer and data.endswith(b"\n\n"):
            parts = data[:-2].split(b"\n\n")
        else:
            start = max(0, len(buffer) - 1)
            buffer += data
            if buffer.find(b"\n\n", start) < 0:
                self._check(len(buffer))
                return []
            parts = bytes(buffer).split(b"\n\n")
            self._buffer = bytearray(parts.pop())
            self._check(len(self._buffer))
        for part in parts:
            if len(part) > self.max_event:
                self._check(len(part))
        return [part for part in parts if part]

    def _check(self, size: int) -> None:
        if size > self.max_event:
            raise EventTooLarge(f"One event is longer than {self.max_event} bytes.")

    def _to_lf(self, data: bytes) -> bytes:
        if self._skip_lf and data.startswith(b"\n"):
            data = data[1:]
        self._skip_lf = data.endswith(b"\r") or (self._skip_lf and not data)
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _without_byte_order_mark(self, data: bytes) -> bytes:
        mark = b"\xef\xbb\xbf"
        whole = bytes(self._buffer) + data
        if len(whole) < len(mark) and mark.startswith(whole):
            return data
        self._fresh = False
        if whole.startswith(mark):
            self._buffer.clear()
            return whole[len(mark) :]
        return data


def payload(block: bytes) -> bytes | None:
    """The data of one event: its data lines joined, trailing blanks stripped. None when it has none."""
    if block.startswith(b"data: ") and b"\n" not in block:
        return block[6:].rstrip()
    lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines).rstrip() if lines else None
