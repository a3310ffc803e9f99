"""What the server answers to programs: label maps, refusals, nothing of its own insides."""

from __future__ import annotations

import base64
import http.client
import io
import json
import shutil
import signal
import socket
import struct
import threading
import zlib
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcn.commands import infer
from fcn.serve.server import CONNECTIONS
from tests.toolkit.serve.conftest import Served, serving

PNG = {"Content-Type": "image/png"}


def asked(
    server: Served,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def sent(server: Served, data: bytes, **headers: str) -> tuple[int, Any]:
    """Status and message of an image that is sent."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    status, _, body = asked(server, "POST", "/segment", data, {**PNG, **named})
    return status, json.loads(body)


def encoded(image: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims a size, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_the_label_map_is_that_of_the_command(
    server: Served, photo: Path, fcn_run: Path, tmp_path: Path
) -> None:
    status, answer = sent(server, photo.read_bytes())
    assert status == 200 and (answer["height"], answer["width"]) == (60, 80)
    assert infer.main([str(photo), "--weights", str(fcn_run), "-o", str(tmp_path)]) == 0
    (labeling,) = answer["labelings"]
    assert base64.b64decode(labeling["png"]) == (tmp_path / f"{photo.stem}.png").read_bytes()
    rows = np.frombuffer(zlib.decompress(base64.b64decode(labeling["labels"])), np.uint8).reshape(60, 80)
    with Image.open(tmp_path / f"{photo.stem}.png") as label:
        np.testing.assert_array_equal(rows, np.array(label))
    assert labeling["classes"] == ["sea", "grass", "brick"]
    assert labeling["colours"][1:] == ["#800000", "#008000"] and labeling["clear"] is None


def test_a_photograph_is_turned_as_its_tag_says(server: Served) -> None:
    image = np.zeros((20, 40, 3), np.uint8)
    tags = Image.Exif()
    tags[0x0112] = 6
    status, answer = sent(server, encoded(image, "JPEG", exif=tags), Content_Type="image/jpeg")
    assert status == 200 and (answer["height"], answer["width"]) == (40, 20)


def test_twenty_at_once_get_equal_answers(server: Served) -> None:
    rng = np.random.default_rng(1)
    images = [encoded(rng.integers(0, 256, (30 + 10 * k, 40, 3), np.uint8)) for k in range(2)]
    alone = [sent(server, image) for image in images]
    found: list[tuple[int, Any]] = [(0, None)] * 20

    def ask(number: int) -> None:
        found[number] = sent(server, images[number % 2])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == alone * 10


@pytest.mark.parametrize(
    "data",
    [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, bomb(30, 30), b"GIF89a" + b"\xff" * 100,
     b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>"],
    ids=["empty", "text", "half", "short", "gif", "postscript", "svg"],
)  # fmt: skip
def test_what_is_no_image_is_told(server: Served, data: bytes) -> None:
    status, answer = sent(server, data)
    assert status == 422 and "image" in answer["error"]


def test_a_damaged_image_of_every_length_is_told(server: Served, photo: Path) -> None:
    data = photo.read_bytes()
    for length in range(1, len(data) - 20, 11):
        status, _ = sent(server, data[:length])
        assert status == 422


@pytest.mark.parametrize("size", [(60000, 60000), (201, 100), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_before_it_is_decoded(server: Served, size: tuple[int, int]) -> None:
    status, answer = sent(server, bomb(*size))
    assert status == 422 and "image" in answer["error"]
    memory = Path(f"/proc/{server.process.pid}/status").read_text()
    assert int(memory.split("VmRSS:")[1].split()[0]) < 2_000_000  # KiB; decoded it would be 10 GB


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(server: Served) -> None:
    with socket.create_connection(server.address, timeout=60) as line:
        line.sendall(
            b"POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
            b"Content-Length: 100001\r\n\r\n"
        )
        assert line.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_of_unknown_length_is_limited_too(server: Served) -> None:
    with socket.create_connection(server.address, timeout=60) as line:
        line.sendall(
            b"POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        try:
            for _ in range(200):
                line.sendall(b"1000\r\n" + bytes(0x1000) + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            return
        assert line.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("127.0.0.1:9", 200), ("[::1]:9", 200), ("evil.example", 421),
     ("localhost.evil.example", 421), ("192.168.0.1", 421), ("", 421), ("127.0.0.1@evil.example", 421),
     ("localhost/x", 421), ("[", 421)],
)  # fmt: skip
def test_a_name_that_is_not_this_machine_s_is_refused(server: Served, host: str, status: int) -> None:
    assert asked(server, "GET", "/", headers={"Host": host})[0] == status
    assert asked(server, "GET", "/page.js", headers={"Host": host})[0] == status


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:1"},
     {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)  # fmt: skip
def test_pages_of_others_may_not_ask(server: Served, photo: Path, headers: dict[str, str]) -> None:
    status, _, body = asked(server, "POST", "/segment", photo.read_bytes(), {**PNG, **headers})
    assert status == 403 and set(json.loads(body)) == {"error"}
    own = f"http://{server.address[0]}:{server.address[1]}"
    assert asked(server, "POST", "/segment", photo.read_bytes(), {**PNG, "Origin": own})[0] == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_form_of_another_page_can_send_no_image(server: Served, photo: Path, kind: str) -> None:
    assert asked(server, "POST", "/segment", photo.read_bytes(), {"Content-Type": kind})[0] == 415


@pytest.mark.parametrize(
    "path",
    ["/static/page.js", "/page", "/../pyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "/page.js/..%2fapp.py",
     "//etc/passwd", "/segment/x", "/about/"],
)  # fmt: skip
def test_there_is_nothing_but_the_page(server: Served, path: str) -> None:
    status, _, body = asked(server, "GET", path)
    assert status == 404 and b"root:" not in body


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/segment"), ("POST", "/"), ("DELETE", "/about"), ("PUT", "/segment")]
)
def test_other_methods_are_refused(server: Served, method: str, path: str) -> None:
    assert asked(server, method, path, b"x" if method != "GET" else None, PNG)[0] == 405


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/none"), ("POST", "/segment"), ("GET", "/about")]
)
def test_every_answer_tells_the_browser_to_be_careful(server: Served, method: str, path: str) -> None:
    _, headers, _ = asked(server, method, path, b"no image" if method == "POST" else None, PNG)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert "Server" not in headers and "Access-Control-Allow-Origin" not in headers


def test_who_would_wait_too_long_is_told_to_come_again(brightest: Path, fcn_run: Path) -> None:
    image = encoded(np.random.default_rng(2).integers(0, 256, (900, 900, 3), np.uint8))
    with serving(fcn_run, "--waiting", "1") as one:
        found: list[tuple[int, Mapping[str, str]]] = []

        def ask() -> None:
            status, headers, _ = asked(one, "POST", "/segment", image, PNG)
            found.append((status, headers))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {status for status, _ in found} == {200, 503}
        assert all(int(headers["Retry-After"]) > 0 for status, headers in found if status == 503)
        assert asked(one, "POST", "/segment", image, PNG)[0] == 200  # there is room again


@pytest.mark.slow
def test_who_sends_a_byte_now_and_then_keeps_nobody_out_for_long(brightest: Path) -> None:
    """As many as the server holds at a time open a connection and never finish what they ask."""
    with serving(brightest) as running, ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(running.address)) for _ in range(CONNECTIONS)]
        for one in silent:
            one.sendall(b"POST /segment HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        over = threading.Event()

        def drip() -> None:
            while not over.wait(1):
                for one in silent:
                    with suppress(OSError):
                        one.sendall(b"a")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert asked(running, "GET", "/about")[0] == 200  # within the 60 s that a client waits here
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_cleanly(brightest: Path, number: signal.Signals) -> None:
    with serving(brightest) as running:
        assert asked(running, "GET", "/about")[0] == 200
        running.process.send_signal(number)
        out, wrong = running.process.communicate(timeout=60)
        assert running.process.returncode == 0 and "Traceback" not in wrong and wrong == ""


def test_a_net_without_a_score_for_each_pixel_is_told(tmp_path: Path, brightest: Path) -> None:
    run = shutil.copytree(brightest, tmp_path / "run")
    text = (run / "deploy.prototxt").read_text()
    (run / "deploy.prototxt").write_text(text.replace("kernel_size: 1", "kernel_size: 1 stride: 2"))
    with serving(run) as running:
        status, answer = sent(running, encoded(np.zeros((9, 9, 3), np.uint8)))
    assert status == 422 and "expected a score for each pixel" in answer["error"]
