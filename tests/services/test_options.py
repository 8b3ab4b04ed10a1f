"""Every option of the reference is known: honoured, or accepted with a reason."""

import json

import pytest

from dicomweb_server.config import ConfigError, boolean
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
    *("IngestTranscoding", "IngestTranscodingOfUncompressed", "IngestTranscodingOfCompressed"),
    *("DicomLossyTranscodingQuality",),
    *("MaximumStorageSize", "MaximumPatientCount", "MaximumStorageMode"),
    *("SslEnabled", "SslCertificate", "SslVerifyPeers", "SslTrustedClientCertificates"),
    *("SslMinimumProtocolVersion", "SslCiphersAccepted"),
    *("EnableWado", "WadoRoot"),
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
        ({"dicomweb": {}}, ("dicomweb", "did you mean DicomWeb?")),
        ({"httpport": 1}, ("httpport", "did you mean HttpPort?")),
        ({"Xyzzy": 1}, ("Xyzzy", "config show")),
        ({"HttpBindAddresses": ["nonsense host"]}, ("HttpBindAddresses", "names, without port")),
        ({"HttpBindAddresses": ["127.0.0.1:80"]}, ("HttpBindAddresses", "without port")),
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


def test_an_option_of_two_files_is_named_with_both(tmp_path):
    from dicomweb_server.config import load_raw

    (tmp_path / "a.json").write_text(json.dumps({"DicomWeb": {"Ssl": True}}))
    (tmp_path / "b.json").write_text(json.dumps({"DicomWeb": {"Root": "/x/"}}))
    (tmp_path / "c.json").write_text(json.dumps({"DicomWeb": {"Root": "/x/"}}))
    with pytest.raises(ConfigError, match=r"c\.json: DicomWeb\.Root is .* another .*b\.json"):
        load_raw(tmp_path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"Name": "a", "Name": "b"}', "Name"),
        ('{"Name": "a", "Name": "a"}', "Name"),
        ('{"DicomWeb": {"Root": "/a/", "Ssl": true, "Root": "/b/"}}', "DicomWeb.Root"),
        ('{"DicomWeb": {}, "DicomWeb": {"Ssl": true}}', "DicomWeb"),
        ('{"Storages": {"a": {"Path": "x", "Path": "y"}}}', "Storages.a.Path"),
    ],
)
def test_an_option_that_is_given_twice_in_a_file(tmp_path, text, name):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert f"config.json: {name} is given twice" in str(caught.value)


# --- secrets -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("users", "words"),
    [
        ({"bad:name": "topsecret", "x": "envsecret"}, ("'bad:...'", "colon")),
        ({"": "topsecret"}, ("''", "colon")),
        ({"x": 47114711}, ("'x'", "strings")),
        ({"x": ""}, ("'x'", "empty")),
        ({"ok": "topsecret", "nl": "scrypt:topsecret"}, ("'nl'", "hash", "hash-password")),
        ({"nl": "scrypt:32768:8:1$topsecret$abcd"}, ("'nl'", "hash")),
        ({"nl": "scrypt:32767:8:1$topsecret$" + "a" * 128}, ("'nl'", "hash")),
        ({"nl": "pbkdf2:topsecret"}, ("'nl'", "hash")),
        ({"nl": "pbkdf2:sha256:10$topsecret$" + "a" * 63}, ("'nl'", "hash")),
        ({"nl": "pbkdf2:sha0:10$topsecret$" + "a" * 64}, ("'nl'", "hash")),
        ({"nl": "$2y$05$topsecrettopsecret"}, ("'nl'", "hash")),
        ({"nl": "{SHA}topsecret"}, ("'nl'", "hash")),
        ("topsecret", ("must be an object", "found a string")),
    ],
    ids=str,
)
def test_users_that_cannot_be_used(tmp_path, users, words):
    with (
        pytest.raises(ConfigError) as caught,
        temporary_app(tmp_path, {"RegisteredUsers": users}),
    ):
        pass
    sentence = str(caught.value)
    assert "RegisteredUsers" in sentence
    assert all(word in sentence for word in words)
    assert not any(word in sentence for word in ("topsecret", "envsecret", "4711"))


@pytest.mark.parametrize("method", ["scrypt", "scrypt:1024:4:2", "pbkdf2", "pbkdf2:sha1:10"])
def test_every_kind_of_hash_lets_its_password_in(tmp_path, method):
    from werkzeug.security import generate_password_hash

    users = {"alice": generate_password_hash("sesame", method), "bob": "$ecret{x}"}
    config = {"RegisteredUsers": users, "AuthenticationEnabled": True}
    with temporary_app(tmp_path, config) as app:
        client = app.test_client()

        def status(*login):
            return client.get("/dicom-web/studies", auth=login).status_code

        assert status("alice", "sesame") == 200
        assert status("alice", users["alice"]) == 401
        assert status("bob", "$ecret{x}") == 200


def secretive(check):
    """An extension with one secret option."""
    from dicomweb_server import hookimpl
    from dicomweb_server.config import Option

    option = Option("Vault", "", "A secret.", check, secret=True)
    hook = staticmethod(hookimpl(lambda: [option]))
    return [("vault", type("Vault", (), {"register_options": hook})())]


def repeats(value):
    raise ValueError(f"cannot be {value!r}")


@pytest.mark.parametrize("check", [int, repeats, boolean], ids=lambda check: check.__name__)
@pytest.mark.parametrize("value", ["47x11", ["47x11"], {"pin": "47x11"}, "x9"], ids=str)
def test_what_a_secret_option_holds_is_in_no_error(tmp_path, check, value):
    def checked(given):
        return check(given if check is not int or isinstance(given, str) else str(given))

    with (
        pytest.raises(ConfigError, match="Vault") as caught,
        temporary_app(tmp_path, {"Vault": value}, extensions=secretive(checked)),
    ):
        pass
    assert "47x11" not in str(caught.value)
    assert "x9" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_password_in_a_url_is_in_no_error(tmp_path):
    with (
        pytest.raises(ConfigError, match="Index") as caught,
        temporary_app(tmp_path, {"Index": "postgresql://me:hid den@db/x"}),
    ):
        pass
    assert "postgresql://me:***@db/x" in str(caught.value)


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
