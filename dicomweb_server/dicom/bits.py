"""Bits in the two orders of compressed streams: MPEG's highest first, JPEG XL's lowest first."""

from __future__ import annotations

from typing import Final

from .errors import DicomError

_LONGEST_ZEROS: Final = 32
"""Zeros before an Exp-Golomb number at most (H.264, 9.1: numbers have 32 bits)."""


class Bits:
    """Numbers of bits, the highest first; `what` is the stream in messages."""

    def __init__(self, data: bytes, what: str) -> None:
        self._bits, self._left = int.from_bytes(data, "big"), 8 * len(data)
        self.what = what

    def u(self, count: int) -> int:
        """The next number of `count` bits."""
        self._left -= count
        if self._left < 0:
            raise DicomError(f"The {self.what} ends within its header.")
        return (self._bits >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        """The next bit."""
        return bool(self.u(1))

    def ue(self) -> int:
        """The next Exp-Golomb number (H.264, 9.1)."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > _LONGEST_ZEROS:
                raise DicomError(f"The {self.what} has a number of more than 32 bits.")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """The next Exp-Golomb number with a sign (H.264, 9.1.1)."""
        number = self.ue()
        return (number + 1) // 2 if number % 2 else -(number // 2)

    def skip_ue(self, count: int) -> None:
        """Exp-Golomb numbers that do not matter."""
        for _ in range(count):
            self.ue()


class LowBits:
    """Numbers of bits, the lowest first (ISO/IEC 18181-1, B.2)."""

    def __init__(self, data: bytes, what: str) -> None:
        self._bits, self._size, self._at = int.from_bytes(data, "little"), 8 * len(data), 0
        self.what = what

    def u(self, count: int) -> int:
        """The next number of `count` bits."""
        if self._at + count > self._size:
            raise DicomError(f"The {self.what} ends within its header.")
        number = (self._bits >> self._at) & ((1 << count) - 1)
        self._at += count
        return number

    def flag(self) -> bool:
        """The next bit."""
        return bool(self.u(1))

    def u32(self, *choices: tuple[int, int]) -> int:
        """One of four choices, each (what is added, bits of a number): `U32()` of the standard."""
        base, count = choices[self.u(2)]
        return base + self.u(count)

    def u64(self) -> int:
        """`U64()` of the standard."""
        choice = self.u(2)
        if choice < 3:
            base, count = ((0, 0), (1, 4), (17, 8))[choice]
            return base + self.u(count)
        number, shift = self.u(12), 12
        while self.flag():
            if shift == 60:
                return number | self.u(4) << shift
            number, shift = number | self.u(8) << shift, shift + 8
        return number

    def align(self) -> None:
        """On to the next whole byte."""
        self._at = (self._at + 7) // 8 * 8
