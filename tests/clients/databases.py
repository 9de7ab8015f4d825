"""Databases for tests, on the Postgres that tests/postgres.py starts."""

import os
import uuid
from contextlib import closing
from urllib.parse import urlsplit

import pg8000.dbapi
import pg8000.native
import pytest


def place_of(url):
    """What pg8000 calls the parts of a database's URL."""
    place = urlsplit(url)
    return {
        "user": place.username or "postgres",
        "host": place.hostname,
        "port": place.port or 5432,
        "database": place.path.lstrip("/") or "postgres",
        "password": place.password,
    }


def session(url):
    """A connection to a database that runs statements; a context that closes it."""
    return closing(pg8000.native.Connection(**place_of(url)))


def connection(url):
    """A connection to a database with cursors and COPY, as Python's database interface wants it; it is the caller's to close."""
    return pg8000.dbapi.connect(**place_of(url))


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
        with session(self.url) as there:
            return there.run(statement)
