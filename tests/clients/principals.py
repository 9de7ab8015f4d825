"""The server's file of keys: who calls, with which keys, and what they may do."""

import json

MEMBERS_OF_A_KEY = ("access_key_id", "secret_access_key", "session_token", "expires")


def allow(action, resource="*"):
    """A statement of a policy."""
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def deny(action, resource="*"):
    return {**allow(action, resource), "Effect": "Deny"}


def policy(*statements):
    """A policy in IAM's JSON."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def principal(name, *keys, account="000000000000", policies=()):
    """A principal of a file of keys. Each key is its id and its secret, and where it has them its token (or None) and when it expires."""
    lines = ["[[principal]]", f'name = "{name}"', f'account = "{account}"', f"policies = {json.dumps(policies)}"]
    for key in keys:
        lines.append("[[principal.key]]")
        lines += [f"{member} = {json.dumps(value)}" for member, value in zip(MEMBERS_OF_A_KEY, key, strict=False) if value]
    return "\n".join(lines) + "\n"


def file_of_keys(folder, *principals):
    """Writes the file that only the server is to read; its path."""
    file = folder / "credentials.toml"
    file.touch(mode=0o600)
    file.write_text("".join(principals))
    return str(file)
