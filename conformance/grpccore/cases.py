"""gRPC's core library, from Python, against two servers, whose addresses are the arguments: one
plain, one with TLS, and the file with who signed its certificate. Each case prints "ok NAME" or
"not ok NAME: REASON"."""
import sys
import threading
import time
import traceback
from concurrent import futures

import grpc
import liftbridge_pb2 as pb
import liftbridge_pb2_grpc as api

plain, secure, ca = sys.argv[1:4]
SOON = 20
options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
cases = []


def case(name):
    def add(run):
        cases.append((name, run))
        return run

    return add


def publishing(value, **more):
    return pb.PublishRequest(stream="s", value=value if isinstance(value, bytes) else value.encode(), expectedOffset=-1, **more)


def refused(run, code, text=None):
    try:
        run()
    except grpc.RpcError as e:
        assert e.code() == code, f"{e.code()}: {e.details()}"
        assert text is None or text in e.details(), e.details()
        return e
    raise AssertionError("not refused")


def collect(call, n):
    out = []
    for m in call:
        out.append(m)
        if len(out) == n:
            call.cancel()
            return out
    raise AssertionError(f"{len(out)} messages")


@case("a stream is created, and published to")
def _(c, _ch):
    c.CreateStream(pb.CreateStreamRequest(name="s", subject="s"), timeout=SOON)
    assert c.Publish(publishing("one"), timeout=SOON).ack.offset == 0
    refused(lambda: c.CreateStream(pb.CreateStreamRequest(name="s", subject="s"), timeout=SOON), grpc.StatusCode.ALREADY_EXISTS)
    refused(lambda: c.DeleteStream(pb.DeleteStreamRequest(name="none"), timeout=SOON), grpc.StatusCode.NOT_FOUND, "stream")


@case("calls go on side by side")
def _(c, _ch):
    list_ = [c.Publish.future(publishing("x" * i * 50), timeout=SOON) for i in range(200)]
    assert len({f.result().ack.offset for f in list_}) == 200


@case("publishes that do not wait are answered, and then comes the end")
def _(c, _ch):
    call = c.PublishAsync((publishing(str(i), correlationId=str(i)) for i in range(500)), timeout=SOON)
    assert [a.correlationId for a in call] == [str(i) for i in range(500)]
    assert call.code() == grpc.StatusCode.OK


@case("a subscription delivers what there is and what comes")
def _(c, _ch):
    call = c.Subscribe(pb.SubscribeRequest(stream="s", startPosition=pb.EARLIEST), timeout=SOON)
    c.Publish(publishing("last"), timeout=SOON)
    got = collect(call, 703)
    assert got[1].value == b"one" and got[702].value == b"last"


@case("a long message goes both ways, in more than a window")
def _(c, _ch):
    long = b"0123456789abcdef" * 60000
    ack = c.Publish(publishing(long), timeout=SOON).ack
    got = collect(c.Subscribe(pb.SubscribeRequest(stream="s", startPosition=pb.OFFSET, startOffset=ack.offset), timeout=SOON), 2)
    assert got[1].value == long
    refused(lambda: c.Publish(publishing(bytes(5 << 20)), timeout=SOON), grpc.StatusCode.RESOURCE_EXHAUSTED, "received message larger than max")


@case("a slow reader gets everything")
def _(c, _ch):
    call = c.Subscribe(pb.SubscribeRequest(stream="s"), timeout=SOON)
    next(call)
    for i in range(60):
        c.Publish(publishing(bytes([i]) * 100000), timeout=SOON)
    assert [m.value[99999] for m in collect(call, 60)] == list(range(60))


@case("a deadline ends a call")
def _(c, _ch):
    refused(lambda: collect(c.Subscribe(pb.SubscribeRequest(stream="s"), timeout=0.2), 1000), grpc.StatusCode.DEADLINE_EXCEEDED)
    c.Publish(publishing("after"), timeout=SOON)


@case("a cancelled call ends, and its connection goes on")
def _(c, _ch):
    for _ in range(50):
        hold = threading.Event()

        def requests():
            yield publishing("x")
            hold.wait(SOON)

        call = c.PublishAsync(requests(), timeout=SOON)
        next(call)
        call.cancel()
        hold.set()
        assert call.code() == grpc.StatusCode.CANCELLED, call.code()
    c.Publish(publishing("after"), timeout=SOON)


@case("what is refused says why")
def _(c, ch):
    refused(lambda: c.FetchPartitionMetadata(pb.FetchPartitionMetadataRequest(stream="é%"), timeout=SOON), grpc.StatusCode.NOT_FOUND)
    refused(lambda: ch.unary_unary("/no.Service/Do")(b"", timeout=SOON), grpc.StatusCode.UNIMPLEMENTED, "unknown service no.Service")
    refused(lambda: ch.unary_unary("/proto.API/a%b")(b"", timeout=SOON), grpc.StatusCode.UNIMPLEMENTED, "unknown method a%b for service proto.API")


@case("binary metadata is taken")
def _(c, _ch):
    c.FetchMetadata(pb.FetchMetadataRequest(), timeout=SOON, metadata=(("x-bin", bytes([0, 1, 255])), ("x-plain", "a"), ("x-plain", "b"), ("x-long", "v" * 4000)))


@case("compressed messages are taken")
def _(c, _ch):
    for how in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        run = lambda: c.Publish(publishing(b"z" * 100000), timeout=SOON, compression=how)
        if how == grpc.Compression.Gzip:
            assert run().ack.offset > 0
        else:
            refused(run, grpc.StatusCode.UNIMPLEMENTED, "deflate")
    answers = c.PublishAsync(iter([publishing("z" * 5000, correlationId=str(i)) for i in range(20)]), timeout=SOON, compression=grpc.Compression.Gzip)
    assert [a.correlationId for a in answers] == [str(i) for i in range(20)]


@case("much goes both ways at once")
def _(c, _ch):
    n, size = 400, 50000
    c.CreateStream(pb.CreateStreamRequest(name="much", subject="much"), timeout=SOON)
    sub = c.Subscribe(pb.SubscribeRequest(stream="much", startPosition=pb.EARLIEST), timeout=SOON)
    next(sub)
    pool = futures.ThreadPoolExecutor(4)
    def send():
        call = c.PublishAsync((pb.PublishRequest(stream="much", value=bytes(size), expectedOffset=-1, correlationId=str(i)) for i in range(n)), timeout=SOON)
        return sum(1 for _ in call)
    sending = [pool.submit(send) for _ in range(2)]
    got = [next(sub).offset for _ in range(2 * n)]
    assert got == list(range(2 * n))
    assert [f.result() for f in sending] == [n, n]
    sub.cancel()


@case("a channel that pings stays")
def _(c, _ch):
    ch = channel_of([("grpc.keepalive_time_ms", 1000), ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_pings_without_data", 0)])
    d = api.APIStub(ch)
    d.FetchMetadata(pb.FetchMetadataRequest(), timeout=SOON)
    time.sleep(2.5)
    d.FetchMetadata(pb.FetchMetadataRequest(), timeout=SOON)
    ch.close()


for kind, address, tls in (("plain", plain, None), ("TLS", secure, ca)):
    def channel_of(more):
        if tls:
            return grpc.secure_channel(address, grpc.ssl_channel_credentials(open(tls, "rb").read()), options + more)
        return grpc.insecure_channel(address, options + more)

    channel = channel_of([])
    stub = api.APIStub(channel)
    for name, run in cases:
        try:
            run(stub, channel)
            print(f"ok {kind}: {name}", flush=True)
        except Exception as e:
            print(f"not ok {kind}: {name}: {type(e).__name__} {e}", flush=True)
            traceback.print_exc()
    channel.close()
print("done")
