"""Clients in the middle of a stream, for tests of what happens to them meanwhile."""

from corral_http import make_request


def ask(model, **more):
    return make_request("POST", "/v1/completions", {"model": model, **more})


def stream_and_hold(corral, engine):
    """A client in the middle of a stream: its first token is there, the next waits at the gate."""
    connection = corral.connect()
    connection.send(ask(engine.name, stream=True))
    engine.open_gate()
    response = connection.read_head()
    assert response.status == 200
    assert b"token0" in connection.read_chunk()
    return connection, response


def begin(corral, engine):
    """A client whose stream has begun, without a token: all of several take from one gate."""
    connection = corral.connect()
    connection.send(ask(engine.name, stream=True))
    response = connection.read_head()
    assert response.status == 200
    return connection, response


def finish(connection, response, engine):
    """Lets the rest of a held stream out and reads it."""
    engine.open_gate(100)
    connection.read_body(response)
    connection.close()
    return response
