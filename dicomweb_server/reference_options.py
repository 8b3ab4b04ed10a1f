"""Options in Orthanc's spelling that are known, and honoured or accepted with a reason.

An existing configuration file works unchanged: whatever it sets is either honoured by the part
that declares it, or listed here with the sentence that is logged when somebody sets it.
"""

from __future__ import annotations

from typing import Any

from dicomweb_server.config import Option, anything, boolean, mapping, one_of, text, whole
from dicomweb_server.dicom import DEFAULT_ENCODINGS

DICTIONARY: Option[Any] = Option(
    "Dictionary",
    {},
    'Own tags: {"0009,1001": ["DS", "Name", 1, 1, "PrivateCreator"]}.',
    mapping,
)
DEFAULT_PRIVATE_CREATOR = Option(
    "DefaultPrivateCreator", "", "Creator of private tags that are named without one.", text
)


DEFAULT_ENCODING = Option(
    "DefaultEncoding",
    "Latin1",
    "Charset of files that do not name one.",
    one_of(*DEFAULT_ENCODINGS),
)
STORE_MD5 = Option(
    "StoreMD5ForAttachments", True, "Keep the MD5 of every file beside its SHA-256.", boolean
)
OVERWRITE = Option(
    "OverwriteInstances",
    "Never",
    "What happens to an instance that is there already: Never, Always or IfChanged.",
    lambda value: (
        {True: "Always", False: "Never"}[value]
        if isinstance(value, bool)
        else one_of("Never", "Always", "IfChanged")(value)
    ),
)
QIDO_CASE_SENSITIVE = Option(
    "DicomWeb.QidoCaseSensitive",
    True,
    "Searches heed case, but for person names; false: never.",
    boolean,
)
OTHER_BINARY_MODE = Option(
    "DicomWeb.OtherBinaryMode",
    "BulkDataURI",
    "How metadata shows OD, OF, OL, OV and OW: BulkDataURI, InlineBinary or ArrayOfValues.",
    one_of("BulkDataURI", "InlineBinary", "ArrayOfValues"),
)
METADATA_CACHE = Option(
    "DicomWeb.EnableMetadataCache", True, "Keep assembled metadata answers on disk.", boolean
)
LIMIT_FIND_RESULTS = Option(
    "LimitFindResults", 0, "Most matches of one search for studies or series; 0: no limit.", whole()
)
LIMIT_FIND_INSTANCES = Option(
    "LimitFindInstances", 0, "Most matches of one search for instances; 0: no limit.", whole()
)
INGEST_TRANSCODING = Option(
    "IngestTranscoding",
    "",
    "Transfer syntax (UID) to which instances are transcoded before they are stored; empty: none.",
    text,
)
INGEST_UNCOMPRESSED = Option(
    "IngestTranscodingOfUncompressed",
    True,
    "IngestTranscoding is for instances that come uncompressed.",
    boolean,
)
INGEST_COMPRESSED = Option(
    "IngestTranscodingOfCompressed",
    True,
    "IngestTranscoding is for instances that come compressed.",
    boolean,
)
LOSSY_QUALITY = Option(
    "DicomLossyTranscodingQuality", 90, "Quality of lossy transcoding, 1 to 100.", whole(1, 100)
)

_LATER_CLIENT = "the DICOMweb client is not part of this version"
_LATER_JOBS = "jobs are not part of this version"
_OBSOLETE = "it is obsolete"
_NO_NEED = "answers are prepared when an instance is stored, so there is nothing to tune"
_GUNICORN = "gunicorn decides; see gunicorn.conf.py"

_UNUSED: tuple[tuple[str, Any, str], ...] = (
    ("DicomWeb.MetadataWorkerThreadsCount", 4, _NO_NEED),
    ("DicomWeb.WadoRsLoaderThreadsCount", 0, _NO_NEED),
    ("DicomWeb.EnablePerformanceLogs", False, "the access log tells the time of every request"),
    ("DicomWeb.ServersInDatabase", False, _LATER_CLIENT),
    ("DicomWeb.Servers", {}, _LATER_CLIENT),
    ("DicomWeb.StowMaxInstances", 0, _OBSOLETE),
    ("DicomWeb.StowMaxSize", 0, _OBSOLETE),
    ("StorageCompression", False, "files are kept as they came, so that ranges can be read"),
    ("StoreDicom", True, "files are always stored"),
    ("BuiltinDecoderTranscoderOrder", "After", "the option Codecs names those to use, in order"),
    ("StorageAccessOnFind", "Always", "searches never open a file"),
    ("CaseSensitivePN", False, "it is about C-FIND; DicomWeb.QidoCaseSensitive is about searches"),
    ("StableAge", 60, "caches are brought up to date at once"),
    ("HttpServerEnabled", True, "the HTTP server is all there is"),
    ("KeepAlive", True, _GUNICORN),
    ("KeepAliveTimeout", 1, _GUNICORN),
    ("TcpNoDelay", True, _GUNICORN),
    ("MaximumFileSizeInArchiveMB", 4096, "archives are not accepted over HTTP in this version"),
    ("HttpProxy", "", _LATER_CLIENT),
    ("HttpTimeout", 60, _LATER_CLIENT),
    ("HttpsVerifyPeers", True, _LATER_CLIENT),
    ("HttpsCACertificates", "", _LATER_CLIENT),
    ("HttpVerbose", False, _LATER_CLIENT),
    ("Pkcs11", {}, _LATER_CLIENT),
    ("ConcurrentJobs", 2, _LATER_JOBS),
    ("JobsHistorySize", 10, _LATER_JOBS),
    ("SaveJobs", True, _LATER_JOBS),
    ("ExecuteLuaEnabled", False, "there is no Lua"),
    ("LogExportedResources", False, _LATER_CLIENT),
    ("CheckRevisions", False, "the REST API of Orthanc is not part of this version"),
    ("UserMetadata", {}, "the REST API of Orthanc is not part of this version"),
    ("UserContentType", {}, "the REST API of Orthanc is not part of this version"),
    ("PatientLevelEnabled", True, "the REST API of Orthanc is not part of this version"),
)

_SECRET = frozenset({"DicomWeb.Servers", "HttpProxy", "Pkcs11"})
"""They hold passwords and pins: no effect is no reason to show them."""

OPTIONS: tuple[Option[Any], ...] = (
    *(DICTIONARY, DEFAULT_PRIVATE_CREATOR, DEFAULT_ENCODING, STORE_MD5, OVERWRITE),
    *(QIDO_CASE_SENSITIVE, OTHER_BINARY_MODE, METADATA_CACHE),
    *(LIMIT_FIND_RESULTS, LIMIT_FIND_INSTANCES),
    *(INGEST_TRANSCODING, INGEST_UNCOMPRESSED, INGEST_COMPRESSED, LOSSY_QUALITY),
    *(
        Option(name, default, "Accepted without effect.", anything, name in _SECRET, reason)
        for name, default, reason in _UNUSED
    ),
)
