"""Prints vectors.json: what a key signs, by other code than ours.

The primitives are those of Python's cryptography (OpenSSL); the messages are put
together here once more, from the documentation of package crypto.
"""

import base64
import hashlib
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LABEL = b"git-muxi-secrets "

KEYS = [
    ("fernet", ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", bytes(range(32)).hex()], bytes(range(32))),
    ("fernet", ["-_-_MDEyMzQ1Njf7_78wMTIzNDU2N_v_vzAxMjM0NTY="], (b"\xfb\xff\xbf01234567" * 3)[:32]),
    (
        "age",
        ["AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"],
        b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
    ),
]

LISTS = ["", "# Ann\nage1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n", "\u00e4\r\n\x00"]


def text(raw):
    return base64.b64encode(raw).decode().rstrip("=")


def main():
    keys = []
    for form, spellings, secret in KEYS:
        seed = HKDF(hashes.SHA256(), 32, None, LABEL + b"signing key v1\0" + form.encode()).derive(secret)
        private = Ed25519PrivateKey.from_private_bytes(seed)
        public = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        keys.append((form, spellings, secret, private, public))

    vectors = []
    for i, (form, spellings, secret, private, public) in enumerate(keys):
        following = keys[(i + 1) % len(keys)][4]
        vectors.append(
            {
                "keys": spellings,
                "public": text(public),
                "fingerprint": hashlib.sha256(LABEL + b"key fingerprint v2\0" + public).hexdigest()[:32],
                "fingerprint_v1": hashlib.sha256(
                    LABEL + b"key fingerprint v1\0" + form.encode() + b"\0" + secret
                ).hexdigest()[:32],
                "next": text(following),
                "succession": text(private.sign(LABEL + b"succession v1\0" + public + following)),
                "people": [
                    {"list": one, "signature": text(private.sign(LABEL + b"people v1\0" + public + one.encode()))}
                    for one in LISTS
                ],
            }
        )
    print(json.dumps(vectors, indent=2))


main()
