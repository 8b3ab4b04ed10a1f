"""One class of tests for each interface: subclass it, give one fixture, inherit the rest.

    class TestMyStore(BlobStoreContract):
        @pytest.fixture
        def store(self, tmp_path):
            return build_provider(MyStore, tmp_path, {"Bucket": "test"})

The tests say what an implementation MUST do, above all when something fails: what is raised, and
what is not left behind.
"""

from dicomweb_server.testing.contracts.auth import AuthenticatorContract, AuthorizerContract
from dicomweb_server.testing.contracts.codecs import CodecContract
from dicomweb_server.testing.contracts.index import IndexContract
from dicomweb_server.testing.contracts.ingest import IngestFilterContract
from dicomweb_server.testing.contracts.metadata import MetadataModeContract
from dicomweb_server.testing.contracts.renderers import RendererContract
from dicomweb_server.testing.contracts.state import StateStoreContract
from dicomweb_server.testing.contracts.storage import BlobStoreContract

__all__ = [
    "AuthenticatorContract",
    "AuthorizerContract",
    "BlobStoreContract",
    "CodecContract",
    "IndexContract",
    "IngestFilterContract",
    "MetadataModeContract",
    "RendererContract",
    "StateStoreContract",
]
