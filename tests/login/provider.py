"""A small OpenID provider on this machine, with the documents that Keycloak serves."""

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

REALM = "/realms/hospital"
CLIENT = "dicomweb"


class Provider:
    """Serves discovery, keys and tokens; `rotate` replaces the key, `broken` breaks it."""

    def __init__(self):
        self.asked = []
        self.broken = False
        self.documents = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.asked.append(self.path)
                found = provider.documents.get(self.path)
                self.send_response(500 if provider.broken else 200 if found else 404)
                self.end_headers()
                self.wfile.write(json.dumps(found).encode())

            def do_POST(self):  # the token endpoint: no questions asked
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps({"access_token": provider.token()}).encode())

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        self.issuer = self.origin + REALM
        self.kid, self.key, self.algorithm = "", None, ""
        self.rotate()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def rotate(self, algorithm="RS256"):
        """A new key in place of the old one."""
        self.kid, self.algorithm = uuid.uuid4().hex, algorithm
        if algorithm == "ES256":
            self.key = ec.generate_private_key(ec.SECP256R1())
        else:
            self.key = rsa.generate_private_key(65537, 2048)
        self.publish([self.jwk()])

    def jwk(self, **more):
        """The public half of the key."""
        found = jwt.get_algorithm_by_name(self.algorithm).to_jwk(
            self.key.public_key(), as_dict=True
        )
        return found | {"kid": self.kid, "use": "sig", "alg": self.algorithm} | more

    def publish(self, keys):
        certs = f"{REALM}/protocol/openid-connect/certs"
        self.documents = {
            f"{REALM}/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "jwks_uri": self.origin + certs,
                "token_endpoint": f"{self.issuer}/protocol/openid-connect/token",
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            },
            certs: {"keys": keys},
        }

    def claims(self, **more):
        now = int(time.time())
        base = {
            "iss": self.issuer,
            "aud": [CLIENT, "account"],
            "sub": "f3a1",
            "preferred_username": "alice",
            "realm_access": {"roles": ["readers", "offline_access"]},
            "iat": now,
            "exp": now + 300,
        }
        return {key: value for key, value in (base | more).items() if value is not None}

    def token(self, key=None, algorithm=None, headers=None, **more):
        """An access token; claims that are None are left out."""
        return jwt.encode(
            self.claims(**more),
            key or self.key,
            algorithm or self.algorithm,
            headers={"kid": self.kid} | (headers or {}),
        )

    def close(self):
        self.server.shutdown()
        self.server.server_close()
