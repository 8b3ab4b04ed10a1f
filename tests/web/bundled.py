"""The DICOM files that pydicom brings along, as parameters of tests."""

import pytest
from pydicom.data import get_testdata_files

each_file_of_pydicom = pytest.mark.parametrize(
    "path",
    [p for p in get_testdata_files("*.dcm") if "/test_files/" in p.replace("\\", "/")],
    ids=lambda p: p.rpartition("/")[2],
)
"""A test of each DICOM file that pydicom brings along."""
