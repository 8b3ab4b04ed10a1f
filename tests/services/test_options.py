"""Every option of the reference is known: honoured, or accepted with a reason."""

import json

import pytest

from dicomweb_server.config import ConfigError
from dicomweb_server.testing.apps import context_of, temporary_app

DICOMWEB = {
    "Enable": True,
    "Root": "/dicom-web/",
    "EnableWado": True,
    "WadoRoot": "/wado",
    "Ssl": False,
    "Host": "",
    "PublicRoot": "/dicom-web/",
    "QidoCaseSensitive": True,
    "StudiesMetadata": "Full",
    "SeriesMetadata": "Full",
    "StudiesMetadataExtrapolatedTags": ["Rows"],
    "SeriesMetadataExtrapolatedTags": [],
    "MetadataWorkerThreadsCount": 4,
    "EnableMetadataCache": True,
    "WadoRsLoaderThreadsCount": 0,
    "EnablePerformanceLogs": False,
    "OtherBinaryMode": "BulkDataURI",
    "ServersInDatabase": False,
    "StowMaxInstances": 10,
    "StowMaxSize": 10,
}
SERVERS = {
    "short": ["http://192.0.2.1/dicom-web"],
    "login": ["http://192.0.2.1/dicom-web", "alice", "password"],
    "whole": {
        "Url": "https://192.0.2.1/dicom-web/",
        "Username": "alice",
        "Password": "password",
        "HttpHeaders": {"X-Hello": "1"},
        "CertificateFile": "a.pem",
        "CertificateKeyFile": "b.pem",
        "CertificateKeyPassword": "c",
        "Pkcs11": False,
        "Timeout": 20,
        "HasDelete": True,
        "ChunkedTransfers": True,
        "HasWadoRsUniversalTransferSyntax": True,
        "Mine": "user property",
    },
}
CORE = {
    "Name": "MyOrthanc",
    "StorageCompression": False,
    "MaximumStorageSize": 0,
    "MaximumPatientCount": 0,
    "MaximumStorageMode": "Recycle",
    "StoreDicom": True,
    "StoreMD5ForAttachments": True,
    "OverwriteInstances": "IfChanged",
    "IngestTranscoding": "1.2.840.10008.1.2.4.80",
    "IngestTranscodingOfUncompressed": True,
    "IngestTranscodingOfCompressed": True,
    "DicomLossyTranscodingQuality": 90,
    "BuiltinDecoderTranscoderOrder": "After",
    "DefaultEncoding": "Latin1",
    "ExtraMainDicomTags": {"Instance": ["Rows"]},
    "StorageAccessOnFind": "Always",
    "CaseSensitivePN": False,
    "LimitFindResults": 100,
    "LimitFindInstances": 100,
    "Dictionary": {"0009,1001": ["DS", "MyTag", 1, 1, "PrivateCreator"]},
    "DefaultPrivateCreator": "PrivateCreator",
    "StableAge": 60,
    "ReadOnly": False,
    "HttpServerEnabled": True,
    "HttpPort": 8042,
    "HttpBindAddresses": ["127.0.0.1"],
    "HttpThreadsCount": 50,
    "RemoteAccessAllowed": False,
    "RemoteAccessEnabled": False,
    "AuthenticationEnabled": False,
    "RegisteredUsers": {"alice": "password"},
    "SslEnabled": False,
    "SslCertificate": "certificate.pem",
    "SslVerifyPeers": False,
    "SslTrustedClientCertificates": "trusted.pem",
    "SslMinimumProtocolVersion": 4,
    "SslCiphersAccepted": "",
    "HttpDescribeErrors": True,
    "HttpCompressionEnabled": False,
    "KeepAlive": True,
    "KeepAliveTimeout": 1,
    "TcpNoDelay": True,
    "HttpRequestTimeout": 30,
    "MaximumRequestBodySizeMB": 8192,
    "MaximumFileSizeInArchiveMB": 4096,
    "HttpProxy": "",
    "HttpTimeout": 60,
    "HttpsVerifyPeers": True,
    "HttpsCACertificates": "",
    "HttpVerbose": False,
    "Pkcs11": {"Module": "/usr/lib/pkcs11.so", "Pin": "1234", "Verbose": True},
    "ConcurrentJobs": 2,
    "JobsHistorySize": 10,
    "SaveJobs": True,
    "ExecuteLuaEnabled": False,
    "LogExportedResources": False,
    "CheckRevisions": False,
    "UserMetadata": {},
    "UserContentType": {},
    "PatientLevelEnabled": True,
}
HONOURED = {
    *("Name", "StoreMD5ForAttachments", "OverwriteInstances", "DefaultEncoding", "Dictionary"),
    *("LimitFindResults", "LimitFindInstances", "DefaultPrivateCreator", "ReadOnly", "HttpPort"),
    *("HttpBindAddresses", "HttpThreadsCount", "RemoteAccessAllowed", "RemoteAccessEnabled"),
    *("AuthenticationEnabled", "RegisteredUsers", "HttpDescribeErrors", "HttpCompressionEnabled"),
    *("MaximumRequestBodySizeMB", "HttpRequestTimeout"),
    *("Enable", "Root", "Ssl", "Host", "PublicRoot", "QidoCaseSensitive", "StudiesMetadata"),
    *("SeriesMetadata", "EnableMetadataCache", "OtherBinaryMode", "ExtraMainDicomTags"),
    *("StudiesMetadataExtrapolatedTags", "SeriesMetadataExtrapolatedTags"),
}


def warnings_of(tmp_path, config):
    with temporary_app(tmp_path, config) as app:
        return context_of(app).config.warnings


@pytest.mark.parametrize("name", DICOMWEB)
def test_an_option_of_the_section_is_known(tmp_path, name):
    warnings = warnings_of(tmp_path, {"DicomWeb": {name: DICOMWEB[name]}})
    assert bool(warnings) is (name not in HONOURED)
    assert all(f"DicomWeb.{name} has no effect: " in warning for warning in warnings)


@pytest.mark.parametrize("name", CORE)
def test_an_option_of_the_core_is_known(tmp_path, name):
    warnings = warnings_of(tmp_path, {name: CORE[name]})
    assert bool(warnings) is (name not in HONOURED)
    assert all(f"{name} has no effect: " in warning for warning in warnings)


@pytest.mark.parametrize("name", SERVERS)
def test_definitions_of_servers_are_accepted(tmp_path, name):
    (warning,) = warnings_of(tmp_path, {"DicomWeb": {"Servers": {name: SERVERS[name]}}})
    assert "Servers has no effect" in warning


def test_all_of_them_at_once(tmp_path):
    config = CORE | {"DicomWeb": DICOMWEB | {"Servers": SERVERS}}
    assert len(warnings_of(tmp_path, config)) == len(CORE) + len(DICOMWEB) + 1 - len(HONOURED)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"HttpPrt": 1}, ("HttpPrt", "did you mean HttpPort?")),
        ({"DicomWeb": {"Rot": "/"}}, ("DicomWeb.Rot", "did you mean DicomWeb.Root?")),
        ({"Xyzzy": 1}, ("Xyzzy", "config show")),
        ({"HttpPort": "80"}, ("HttpPort", '"80"')),
        ({"HttpPort": 0}, ("HttpPort", "at least 1")),
        ({"HttpPort": True}, ("HttpPort",)),
        ({"ReadOnly": "yes"}, ("ReadOnly", "true or false")),
        ({"DicomWeb": []}, ("DicomWeb", "object")),
        ({"OverwriteInstances": "Sometimes"}, ("OverwriteInstances", "IfChanged")),
        ({"DefaultEncoding": "Klingon"}, ("DefaultEncoding", "Latin1")),
        ({"DicomWeb": {"OtherBinaryMode": "x"}}, ("OtherBinaryMode", "InlineBinary")),
        ({"Dictionary": {"nonsense": 1}}, ("Dictionary",)),
        ({"TrustedProxies": ["nowhere"]}, ("TrustedProxies",)),
        ({"LogLevel": "loud"}, ("LogLevel", "debug")),
    ],
    ids=str,
)
def test_what_is_wrong_stops_the_start_with_a_sentence(tmp_path, config, words):
    with pytest.raises(ConfigError) as caught, temporary_app(tmp_path, config):
        pass
    for word in words:
        assert word in str(caught.value)


def test_unknown_options_may_be_ignored(tmp_path):
    (warning,) = warnings_of(tmp_path, {"IgnoreUnknownOptions": True, "HttpPrt": 1})
    assert "HttpPrt" in warning


# --- files ---------------------------------------------------------------------------------


def read(tmp_path, text, environ=None):
    from dicomweb_server.config import load_raw

    file = tmp_path / "config.json"
    file.write_text(text)
    return load_raw(file, environ or {})


def test_comments_and_variables(tmp_path):
    text = """{
        // a comment with "quotes"
        "Name": "http://not/*a comment*/", /* over
        lines */ "HttpPort": ${PORT:-8042},
        "IndexDirectory": "${FOLDER}"
    }"""
    found = read(tmp_path, text, {"FOLDER": "/data"})
    assert found == {"Name": "http://not/*a comment*/", "HttpPort": 8042, "IndexDirectory": "/data"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"Name": "${NOT_SET}"}', ("NOT_SET", "config.json")),
        ('{\n"Name": x}', ("line 2", "config.json")),
        ("[]", ("object", "config.json")),
        ('{"Name": "\\ud800', ("config.json",)),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, text, words):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    for word in words:
        assert word in str(caught.value)


def test_a_folder_is_merged(tmp_path):
    from dicomweb_server.config import load_raw

    (tmp_path / "a.json").write_text(json.dumps({"Name": "a", "DicomWeb": {"Root": "/x/"}}))
    (tmp_path / "b.json").write_text(json.dumps({"DicomWeb": {"Ssl": True}}))
    assert load_raw(tmp_path) == {"Name": "a", "DicomWeb": {"Root": "/x/", "Ssl": True}}
    (tmp_path / "c.json").write_text(json.dumps({"Name": "c"}))
    with pytest.raises(ConfigError, match="Name"):
        load_raw(tmp_path)


@pytest.mark.parametrize("values", [("a", "a"), (0, 1), (None, "b")])
def test_a_key_of_two_files_is_an_error_whatever_it_holds(tmp_path, values):
    from dicomweb_server.config import load_raw

    for name, value in zip("ab", values, strict=True):
        (tmp_path / f"{name}.json").write_text(json.dumps({"AuthenticationEnabled": value}))
    with pytest.raises(ConfigError, match="AuthenticationEnabled"):
        load_raw(tmp_path)


def test_secrets_are_masked(tmp_path):
    config = {"RegisteredUsers": {"alice": "tell nobody"}}
    with temporary_app(tmp_path, config) as app:
        text = json.dumps(context_of(app).config.masked(), default=str)
    assert "alice" in text
    assert "tell nobody" not in text


def test_private_tags_of_the_dictionary_can_be_searched(tmp_path):
    from dicomweb_server.testing.dicom import make_dataset, write_dataset
    from tests.conftest import Client

    data_set = make_dataset()
    block = data_set.private_block(0x0009, "PrivateCreator", create=True)
    block.add_new(0x01, "LO", "needle")
    config = {"Dictionary": {"0009,1001": ["LO", "MyTag", 1, 1, "PrivateCreator"]}}
    with temporary_app(tmp_path, config) as app:
        client = Client(app.test_client())
        client.stored(write_dataset(data_set))
        (found,) = client.found(MyTag="needle")
        assert found["00091001"]["Value"] == ["needle"]
        assert client.found(MyTag="hay") == []
