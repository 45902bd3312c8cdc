"""Loads every formation below /formations as the MUXI runtime does.

Prints one line of JSON for each: the SHA-256 of every string that held a
reference, as the runtime would hand it on, or the error that its user sees. No
value is printed. Exits 1 when a formation does not load.
"""
import hashlib
import json
import os
import re
import sys

import yaml
from cryptography.fernet import Fernet

FORMATION_FILES = ("formation.afs", "formation.yaml", "formation.yml")
REFERENCE = re.compile(r"\$\{\{\s*secrets\.([A-Z0-9_]+)\s*\}\}")
CREDENTIAL = re.compile(r"\$\{\{\s*user\.credentials\.([A-Za-z0-9_-]+)\s*\}\}")


class Secrets:
    def __init__(self, folder):
        self.folder = folder
        self.stored = None
        path = os.path.join(folder, ".key")
        if os.path.exists(path):
            with open(path, "rb") as file:
                key = file.read()
        else:
            # A missing key is made anew, though nothing opens with it.
            key = Fernet.generate_key()
            with open(path, "wb") as file:
                file.write(key)
            os.chmod(path, 0o600)
        self.fernet = Fernet(key)

    def get(self, name):
        try:
            if self.stored is None:
                self.stored = {}
                path = os.path.join(self.folder, "secrets.enc")
                if os.path.exists(path):
                    with open(path, "rb") as file:
                        self.stored = json.loads(self.fernet.decrypt(file.read()).decode())
            if name not in self.stored:
                raise KeyError(f"Secret '{name}' not found in SecretsManager")
            return self.stored[name]
        except Exception as e:
            text = e.args[0] if isinstance(e, KeyError) else str(e)
            self.stored = None
            raise RuntimeError(f"Failed to retrieve secret '{name}': {text}") from e


def fill(value, secrets):
    """Replaces references in the strings of maps and lists, never in keys."""
    if isinstance(value, dict):
        return {key: fill(one, secrets) for key, one in value.items()}
    if isinstance(value, list):
        return [fill(one, secrets) for one in value]
    if not isinstance(value, str):
        return value
    for name in REFERENCE.findall(value):
        pattern = r"\$\{\{\s*secrets\." + name + r"\s*\}\}"
        value = re.sub(pattern, secrets.get(name), value)
    for name in CREDENTIAL.findall(value):
        stored = "USER_CREDENTIALS_" + name.upper().replace("-", "_")
        value = re.sub(r"\$\{\{\s*user\.credentials\." + re.escape(name) + r"\s*\}\}", secrets.get(stored), value)
    return value


def strings(before, after, path=()):
    """Yields path and new text of the strings that held an expression."""
    if isinstance(before, dict):
        for key in before:
            yield from strings(before[key], after[key], path + (str(key),))
    elif isinstance(before, list):
        for i, one in enumerate(before):
            yield from strings(one, after[i], path + (str(i),))
    elif isinstance(before, str) and "${{" in before:
        yield ".".join(path), after


def load(folder):
    name = next(name for name in FORMATION_FILES if os.path.exists(os.path.join(folder, name)))
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        config = yaml.safe_load(file)
    filled = fill(config, Secrets(folder))
    return {
        path: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "left": "${{" in text}
        for path, text in strings(config, filled)
    }


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "/formations"
    failed = False
    for current, folders, files in os.walk(root):
        folders.sort()
        if not any(name in files for name in FORMATION_FILES):
            continue
        result = {"formation": os.path.relpath(current, root)}
        try:
            result["strings"] = load(current)
        except Exception as e:
            failed = True
            # A bad replacement quotes the value; its class is what is asked for.
            text = "bad replacement" if isinstance(e, re.error) else str(e)
            result["error"] = f"{type(e).__name__}: {text}"
        print(json.dumps(result), flush=True)
    sys.exit(1 if failed else 0)


main()
