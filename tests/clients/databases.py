"""Databases for tests, on the Postgres that tests/postgres.py starts."""

import os
import uuid
from contextlib import closing
from urllib.parse import urlsplit

import pg8000.native
import pytest


class Databases:
    """Databases of their own for servers, on the Postgres that TEST_DATABASE_URL names, or another one."""

    def __init__(self, url=None):
        self.url = url or os.environ.get("TEST_DATABASE_URL")
        self.made = []

    def create(self):
        if not self.url:
            pytest.skip("TEST_DATABASE_URL is not set: no Postgres (run under tests/postgres.py)")
        name = f"rekollect_clients_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        self.made.append(name)
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def drop_all(self):
        for name in self.made:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement):
        with self.connection() as connection:
            return connection.run(statement)

    def connection(self):
        """A connection to the database of the URL; a context that closes it."""
        address = urlsplit(self.url)
        return closing(
            pg8000.native.Connection(
                address.username or "postgres",
                host=address.hostname,
                port=address.port or 5432,
                database=address.path.lstrip("/") or "postgres",
                password=address.password,
            )
        )
