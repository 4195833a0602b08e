"""An OpenID Connect provider for service accounts: discovery, the signing keys, and a
token endpoint that knows the client credentials grant and HTTP Basic only.

  oidc_provider.py LAB_DIRECTORY PORT TLS_PORT

etc/oidc-clients.json holds the clients; knobs/oidc.json holds
  ttl      seconds that an id_token lives
  fail     an HTTP status with which the token endpoint then answers everything
  delay    seconds before the token endpoint answers
Both are read anew for every request.
"""

import base64
import binascii
import datetime
import hmac
import http.server
import json
import pathlib
import secrets
import socket
import ssl
import sys
import threading
import time
import urllib.parse

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

LAB, PORT, TLS_PORT = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
ISSUER = f"http://127.0.0.1:{PORT}/auth"
ALL_PROJECTS = "publicCloudProject/all"
SCOPES = ("openid", "profile", "email", ALL_PROJECTS)
KEY_ID = "lab-1"
KEY_FILE = LAB / "etc" / "oidc-key.pem"
CERTIFICATE_FILE = LAB / "etc" / "oidc-certificate.pem"


class Refusal(Exception):
    """An answer of RFC 6749, section 5.2."""

    def __init__(self, status, error, description=None):
        super().__init__(error)
        self.status = status
        self.document = {"error": error}
        if description:
            self.document["error_description"] = description


def signing_key():
    if KEY_FILE.exists():
        return serialization.load_pem_private_key(KEY_FILE.read_bytes(), None)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    KEY_FILE.touch(mode=0o600)
    KEY_FILE.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return key


def key_set(key):
    def number(value):
        data = value.to_bytes((value.bit_length() + 7) // 8, "big")
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    public = key.public_key().public_numbers()
    return {
        "keys": [
            {
                "kty": "RSA",
                "alg": "RS256",
                "use": "sig",
                "kid": KEY_ID,
                "n": number(public.n),
                "e": number(public.e),
            }
        ]
    }


def write_certificate(key):
    """For the second listener: mod_auth_openidc fetches signing keys over https only."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    CERTIFICATE_FILE.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


KEY = signing_key()
DOCUMENTS = {
    "/auth/oauth2/jwks": key_set(KEY),
    "/auth/.well-known/openid-configuration": {
        "issuer": ISSUER,
        "authorization_endpoint": ISSUER + "/oauth2/authorize",
        "token_endpoint": ISSUER + "/oauth2/token",
        "jwks_uri": ISSUER + "/oauth2/jwks",
        "scopes_supported": sorted(SCOPES),
        "response_types_supported": ["code"],
        "grant_types_supported": ["client_credentials"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    },
}


def read(*path):
    return json.loads(LAB.joinpath(*path).read_text())


def authenticate(header):
    """The client that the Authorization header proves, as (name, its settings)."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        raise Refusal(401, "invalid_client", "this endpoint wants HTTP Basic authentication")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refusal(401, "invalid_client", "the Basic credentials cannot be decoded")
    clients = read("etc", "oidc-clients.json")
    # RFC 6749 has both parts form-encoded before they are joined; few clients do that.
    for name, secret in ((user, password), tuple(map(urllib.parse.unquote, (user, password)))):
        client = clients.get(name)
        if client and hmac.compare_digest(client["secret"].encode(), secret.encode()):
            if not client.get("enabled", True):
                raise Refusal(401, "invalid_client", "this client is disabled")
            return name, client
    raise Refusal(401, "invalid_client", "no such client, or not its secret")


def grant(header, form):
    """The token endpoint's answer to a good request."""
    name, client = authenticate(header)
    if form.get("grant_type") != "client_credentials":
        raise Refusal(400, "unsupported_grant_type", "the only grant is client_credentials")
    scopes = form.get("scope", "").split()
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise Refusal(400, "invalid_scope", "unknown scope: " + " ".join(unknown))
    life = int(client.get("ttl") or read("knobs", "oidc.json").get("ttl") or 3600)
    answer = {
        "access_token": secrets.token_urlsafe(48),
        "token_type": "Bearer",
        "expires_in": life,
        "scope": " ".join(scopes),
    }
    if "openid" in scopes:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": name,
            "aud": name,
            "azp": name,
            "client_id": name,
            "preferred_username": name,
            "email": name + "@lab.invalid",
            "iat": now,
            "exp": now + life,
            "jti": secrets.token_hex(8),
        }
        # Keystone's mapping turns this claim into a group, and the group has the role.
        if ALL_PROJECTS in scopes and client.get("role"):
            claims["role"] = client["role"]
        answer["id_token"] = jwt.encode(claims, KEY, "RS256", {"kid": KEY_ID})
    return answer


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One write per answer: with several, Nagle's algorithm and delayed ACKs add 40 ms.
    wbufsize = -1

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self):
        document = DOCUMENTS.get(urllib.parse.urlsplit(self.path).path)
        if document is None:
            return self.answer(404, {"error": "not_found"})
        self.answer(200, document)

    do_HEAD = do_GET

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/auth/oauth2/token":
            return self.answer(404, {"error": "not_found"})
        try:
            knobs = read("knobs", "oidc.json")
            time.sleep(knobs.get("delay") or 0)
            if knobs.get("fail"):
                raise Refusal(int(knobs["fail"]), "temporarily_unavailable")
            form = dict(urllib.parse.parse_qsl(body.decode(errors="replace")))
            self.answer(200, grant(self.headers.get("Authorization"), form))
        except Refusal as refusal:
            self.answer(refusal.status, refusal.document)

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="lab"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        # A client that hangs up is no news; the default prints a traceback for it.
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)


def main():
    write_certificate(KEY)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE_FILE, KEY_FILE)
    encrypted = Server(("127.0.0.1", TLS_PORT), Handler)
    encrypted.socket = context.wrap_socket(encrypted.socket, server_side=True)
    threading.Thread(target=encrypted.serve_forever, daemon=True).start()
    Server(("127.0.0.1", PORT), Handler).serve_forever()


main()
