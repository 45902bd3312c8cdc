# Answers one request of a Go test: JSON on stdin, JSON on stdout. The mode is
# the first argument; nothing secret is ever an argument. What fails is told by
# the exception's class and line alone, because its message may hold a value.
import base64
import binascii
import json
import os
import sys

from cryptography.fernet import Fernet


def probe(_):
    import cryptography

    return {
        "executable": sys.executable,
        "python": sys.version.split()[0],
        "cryptography": cryptography.__version__,
        # False from CPython 3.13.13 and 3.14.4 on (python/cpython issue 145264).
        "stops_at_padding": binascii.a2b_base64(b"QQ==QUJD") == b"A",
    }


def read_formation(request):
    # As the MUXI runtime's SecretsManager reads: bytes, Fernet, str, json.loads.
    folder = request["dir"]
    with open(os.path.join(folder, ".key"), "rb") as f:
        fernet = Fernet(f.read())
    with open(os.path.join(folder, "secrets.enc"), "rb") as f:
        plaintext = fernet.decrypt(f.read())
    secrets = json.loads(plaintext.decode())
    if not isinstance(secrets, dict):
        raise TypeError
    for value in secrets.values():
        if not isinstance(value, str):
            raise TypeError
    return secrets


def write_formation(request):
    folder = request["dir"]
    key = base64.b64decode(request["key"] or "") or Fernet.generate_key()
    plaintext = json.dumps(request["secrets"], indent=2).encode()
    for name, content in ((".key", key), ("secrets.enc", Fernet(key).encrypt(plaintext))):
        path = os.path.join(folder, name)
        with open(path, "wb") as f:
            f.write(content)
        os.chmod(path, 0o600)


def open_all(request):
    answers = []
    for case in request:
        try:
            key = base64.b64decode(case["key"] or "")
            token = base64.b64decode(case["token"] or "")
            plaintext = Fernet(key).decrypt(token)
            answers.append({"plaintext": base64.b64encode(plaintext).decode(), "class": ""})
        except Exception as e:
            answers.append({"plaintext": None, "class": type(e).__name__})
    return answers


def run(request):
    names = {"request": request["request"], "response": None}
    exec(compile(request["script"], "script", "exec"), names)
    return names["response"]


def main():
    modes = {f.__name__: f for f in (probe, read_formation, write_formation, open_all, run)}
    try:
        answer = {"ok": modes[sys.argv[1]](json.load(sys.stdin))}
    except Exception as e:
        tb = e.__traceback__
        while tb.tb_next:
            tb = tb.tb_next
        answer = {
            "class": type(e).__name__,
            "where": "%s:%d" % (os.path.basename(tb.tb_frame.f_code.co_filename), tb.tb_lineno),
        }
    json.dump(answer, sys.stdout)


main()
