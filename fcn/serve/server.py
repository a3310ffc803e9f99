"""The server: a socket, the application on it, and the net behind both until Ctrl-C."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager

from voc_layers.reading import SampleError

from ..export.needs import need
from ..infer.model import Model
from .guard import Guard, is_loopback
from .limits import Limits
from .turns import Turns

#: Threads besides one for each image that waits: they answer with the page itself, and turn away.
SPARE = 4
#: Connections that are open at a time; seconds that one may be silent, or take to send a request; seconds
#: between two looks at that.
CONNECTIONS, SILENCE, LOOK = 200, 30, 5


def serve(
    opened: Callable[[], AbstractContextManager[Model]],
    title: str,
    address: tuple[str, int],
    limits: Limits,
    names: Collection[str] = (),
    ready: Callable[[str], None] = print,
) -> None:
    """Answer until Ctrl-C.

    Args:
        opened: the net, in the thread that uses it.
        title: what the page is called.
        address: host and port; port 0: one that is free.
        names: host names that the server goes by, besides its addresses, localhost and this machine's name.
        ready: is told where the page is.

    Raises:
        SampleError: the address cannot be listened on, or a package is missing.
    """
    for package in ("flask", "waitress"):
        need(package, "fcn serve", "pip install 'caffe-fcn[serve]'")
    import waitress

    from .app import make_app
    from .channel import Channel

    host = address[0]
    with listening(*address) as listener, Turns(opened, limits.waiting) as turns:
        loopback = is_loopback(host)
        own = () if loopback else (host.lower(), socket.gethostname().lower())
        guard = Guard(loopback, (*own, *(name.lower() for name in names)))
        app = make_app(turns.ask, title, limits, guard)
        server = waitress.create_server(
            app,
            sockets=[listener],
            threads=limits.waiting + SPARE,
            max_request_body_size=limits.bytes,
            connection_limit=CONNECTIONS,
            channel_timeout=SILENCE,
            cleanup_interval=LOOK,
            ident=None,
        )
        server.channel_class = Channel
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # that some wait is meant
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{listener.getsockname()[1]}/")
        server.run()  # until Ctrl-C


def listening(host: str, port: int) -> socket.socket:
    """A socket on an address.

    Raises:
        SampleError: the port is taken, or the host is not this machine's.
    """
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "another program listens there; give another --port" if taken else error.strerror or error
        raise SampleError(f"{host}, port {port}: {why}") from error
