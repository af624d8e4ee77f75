"""A local server that speaks S3."""

import os
from contextlib import contextmanager

import pytest


@contextmanager
def object_store():
    """Yield the address of an empty object store, which takes any credentials; no proxy stands before it."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    saved = {name: os.environ.pop(name, None) for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()
        os.environ.update({name: value for name, value in saved.items() if value is not None})
