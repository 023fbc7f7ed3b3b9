"""The fake engine misbehaves exactly as its modes say, on a real socket."""

import http.client
import json

import pytest

from tests.fakes.engine import FakeEngine, serve


def post(fake: FakeEngine, **body):
    connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=5)
    try:
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **body}
        connection.request("POST", "/v1/chat/completions", json.dumps(body))
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_it_streams_the_tokens_and_ends_with_done():
    with serve(tokens=3) as fake:
        status, text = post(fake, stream=True, stream_options={"include_usage": True})
    assert status == 200
    assert text.count("data: ") == 3 + 1 + 1 + 1
    assert text.endswith("data: [DONE]\n\n")
    assert fake.finished == 1


def test_a_cut_stream_is_an_incomplete_read():
    with serve(mode="cut") as fake, pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        post(fake, stream=True)


def test_reset_breaks_the_connection_before_any_byte():
    with serve() as fake, pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        post(fake, model="reset")


def test_a_stopped_engine_refuses_and_a_restarted_one_answers_on_the_same_port():
    with serve() as fake:
        port = fake.port
        fake.stop()
        with pytest.raises(ConnectionRefusedError):
            post(fake)
        fake.start()
        assert (post(fake)[0], fake.port) == (200, port)


def test_a_reply_mode_carries_its_status_and_retry_after():
    with serve(mode="429", retry_after="2") as fake:
        assert post(fake)[0] == 429
