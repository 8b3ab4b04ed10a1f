"""What can go wrong while a DICOM stream is read. All are `DicomError`."""


class DicomError(Exception):
    """The stream, or a question about it, cannot be served; the text is a sentence for people."""


class NotDicom(DicomError):
    """The stream is something else than a DICOM file (PS3.10), or holds no data set."""


class Truncated(DicomError):
    """The stream ends inside a data element; the text names the byte position and the element."""


class NotUnderstood(DicomError):
    """The fast reader lost its way; `fallback.read_with_pydicom` may still read the file.

    Raised for: a VR that PS3.5 does not know, an item or sequence that overruns the one around
    it, a delimiter where none can stand, something else than an item inside a sequence, command
    elements (group 0000), bytes that are not zero behind trailing padding.
    """


class LimitExceeded(DicomError):
    """The stream asks for more memory or nesting than `Limits` allows. Never tried again."""


class NoSuchFrame(DicomError, IndexError):
    """A frame number outside of those that the data set tells of."""


class FrameNotLocated(DicomError):
    """A frame that should be there, but the pixel data is too short or cannot be divided."""
