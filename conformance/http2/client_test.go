package http2_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pb "github.com/liftbridge-io/liftbridge-api/v2/go"
	"github.com/weirmq/weir/conformance/harness"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// What gRPC's official client for Go does, through each kind of connection.

// secured runs a server whose connections are encrypted, and that asks for certificates if
// that is said, with a stream "s".
func secured(t *testing.T, a *harness.Authority, asks bool) (*harness.Server, string) {
	t.Helper()
	dir := t.TempDir()
	a.File(dir, "ca.pem", a.PEM())
	a.Write(dir, a.Pair("server", false))
	client := ""
	if asks {
		client = fmt.Sprintf("client { auth { enabled: true, ca: %q } }", filepath.Join(dir, "ca.pem"))
	}
	s, addr := start(t, fmt.Sprintf("%s\ntls { key: %q, cert: %q, %s }", large, filepath.Join(dir, "key.pem"), filepath.Join(dir, "cert.pem"), client))
	return s, addr
}

// large allows messages of 20 MiB.
const large = "clustering.replication.max.bytes: 21MB"

func official(t *testing.T, addr string, with credentials.TransportCredentials) pb.APIClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(with),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the server may have ended
	return pb.NewAPIClient(conn)
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestTheOfficialClientIsServedOverEachKindOfConnection(t *testing.T) {
	ca := harness.NewAuthority(t)
	anonymous := ca.Config("nobody")
	anonymous.Certificates = nil
	t.Run("plain", func(t *testing.T) {
		_, addr := start(t, large)
		serves(t, official(t, addr, insecure.NewCredentials()))
	})
	t.Run("TLS", func(t *testing.T) {
		_, addr := secured(t, ca, false)
		serves(t, official(t, addr, credentials.NewTLS(anonymous)))
	})
	t.Run("TLS with a certificate", func(t *testing.T) {
		_, addr := secured(t, ca, true)
		serves(t, official(t, addr, credentials.NewTLS(ca.Config("ann"))))
		_, err := official(t, addr, credentials.NewTLS(anonymous)).FetchMetadata(within(t), &pb.FetchMetadataRequest{})
		if status.Code(err) != codes.Unavailable {
			t.Errorf("without a certificate: %v", err)
		}
	})
}

// serves has the client do one thing after the other with one connection.
func serves(t *testing.T, c pb.APIClient) {
	if _, err := c.CreateStream(within(t), &pb.CreateStreamRequest{Name: "s", Subject: "s"}); err != nil {
		t.Fatal(err)
	}
	t.Run("one call", func(t *testing.T) {
		a, err := c.Publish(within(t), publishing([]byte("first")))
		if err != nil || a.Ack.Offset != 0 {
			t.Fatal(a, err)
		}
		_, err = c.CreateStream(within(t), &pb.CreateStreamRequest{Name: "s", Subject: "s"})
		if status.Code(err) != codes.AlreadyExists {
			t.Error(err)
		}
	})
	t.Run("a body that ends", func(t *testing.T) { endsWell(t, c) })
	t.Run("200 calls at once", func(t *testing.T) { sideBySide(t, c) })
	t.Run("20 MiB", func(t *testing.T) { bigOne(t, c) })
	t.Run("a slow reader", func(t *testing.T) { slowly(t, c) })
	t.Run("a deadline", func(t *testing.T) { deadlines(t, c) })
	t.Run("a cancelled call", func(t *testing.T) { cancels(t, c) })
}

// endsWell publishes, ends the body and gets all answers before the end.
func endsWell(t *testing.T, c pb.APIClient) {
	call, err := c.PublishAsync(within(t))
	if err != nil {
		t.Fatal(err)
	}
	const n = 500
	for i := range n {
		if err := call.Send(publishing([]byte(fmt.Sprint(i)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := call.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		a, err := call.Recv()
		if err != nil || a.AsyncError != nil || a.Ack.Offset != int64(i+1) {
			t.Fatal(i, a, err)
		}
	}
	if _, err := call.Recv(); err != io.EOF {
		t.Error(err)
	}
}

// sideBySide has 200 calls of both directions take turns.
func sideBySide(t *testing.T, c pb.APIClient) {
	var calls sync.WaitGroup
	for n := range 200 {
		calls.Go(func() {
			call, err := c.PublishAsync(within(t))
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 10 {
				id := fmt.Sprint(n, " ", i)
				p := publishing(bytes.Repeat([]byte{byte(n)}, i*500))
				p.CorrelationId = id
				if err := call.Send(p); err != nil {
					t.Error(err)
					return
				}
				if a, err := call.Recv(); err != nil || a.CorrelationId != id || a.AsyncError != nil {
					t.Errorf("%s: %v %v", id, a, err)
					return
				}
			}
			if err := call.CloseSend(); err != nil {
				t.Error(err)
			}
			if _, err := call.Recv(); err != io.EOF {
				t.Error(err)
			}
		})
	}
	calls.Wait()
}

// bigOne has a message of 20 MiB both ways, and one that is over the limit.
func bigOne(t *testing.T, c pb.APIClient) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 20<<16)
	a, err := c.Publish(within(t), publishing(big))
	if err != nil {
		t.Fatal(err)
	}
	call, err := c.Subscribe(within(t), &pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_OFFSET, StartOffset: a.Ack.Offset})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); err != nil { // it stands
		t.Fatal(err)
	}
	m, err := call.Recv()
	if err != nil || !bytes.Equal(m.Value, big) {
		t.Fatal(len(m.GetValue()), err)
	}
	_, err = c.Publish(within(t), publishing(make([]byte, 25<<20)))
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "grpc: received message larger than max (") {
		t.Error(err)
	}
}

// slowly has a reader take little at a time, of more than any window, and another publish
// meanwhile on the same connection.
func slowly(t *testing.T, c pb.APIClient) {
	value := bytes.Repeat([]byte("slow"), 25_000)
	call, err := c.Subscribe(within(t), &pb.SubscribeRequest{Stream: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); err != nil {
		t.Fatal(err)
	}
	const n = 100
	for range n {
		if _, err := c.Publish(within(t), publishing(value)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		m, err := call.Recv()
		if err != nil || !bytes.Equal(m.Value, value) {
			t.Fatal(i, len(m.GetValue()), err)
		}
	}
}

// deadlines has calls that cannot end before theirs, and their connection go on.
func deadlines(t *testing.T, c pb.APIClient) {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	call, err := c.Subscribe(ctx, &pb.SubscribeRequest{Stream: "s"})
	if err != nil {
		t.Fatal(err)
	}
	async, err := c.PublishAsync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = call.Recv()
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	if _, err := async.Recv(); status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	if _, err := c.Publish(within(t), publishing([]byte("x"))); err != nil {
		t.Error(err)
	}
}

func cancels(t *testing.T, c pb.APIClient) {
	ctx, cancel := context.WithCancel(within(t))
	call, err := c.Subscribe(ctx, &pb.SubscribeRequest{Stream: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := call.Recv(); status.Code(err) != codes.Canceled {
		t.Error(err)
	}
	if _, err := c.Publish(within(t), publishing([]byte("x"))); err != nil {
		t.Error(err)
	}
}

// TestCancelledCallsGiveEverythingBack has thousands of each kind: neither memory nor
// goroutines become more.
func TestCancelledCallsGiveEverythingBack(t *testing.T) {
	server, addr := served(t, "")
	fill(t, addr, 100)
	c := official(t, addr, insecure.NewCredentials())
	thousand := func() {
		t.Helper()
		var calls sync.WaitGroup
		for range 4 {
			calls.Go(func() {
				for i := range 250 {
					if err := begunAndCancelled(c, i); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		calls.Wait()
	}
	thousand()
	thousand()
	before := server.Memory()
	for range 3 {
		thousand()
	}
	after := server.Memory()
	t.Logf("%d MiB, then %d MiB", before>>20, after>>20)
	if after > before+24<<20 {
		t.Errorf("3,000 cancelled calls cost %d MiB", (after-before)>>20)
	}
	fit(t, addr)
	wantFewGoroutines(t, server)
}

// begunAndCancelled begins a call, has an answer, and cancels it.
func begunAndCancelled(c pb.APIClient, i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if i%2 == 0 {
		call, err := c.Subscribe(ctx, reading(false))
		if err == nil {
			_, err = call.Recv()
		}
		return err
	}
	call, err := c.PublishAsync(ctx)
	if err == nil {
		err = call.Send(publishing([]byte("x")))
	}
	if err == nil {
		_, err = call.Recv()
	}
	return err
}

// TestTheHandshakeAgreesOnHTTP2 has clients that offer it, and those that offer something else.
func TestTheHandshakeAgreesOnHTTP2(t *testing.T) {
	ca := harness.NewAuthority(t)
	_, addr := secured(t, ca, false)
	for _, each := range []struct {
		offers []string
		agrees bool
	}{{[]string{"h2"}, true}, {[]string{"http/1.1", "h2"}, true}, {[]string{"http/1.1"}, false}} {
		t.Run(strings.Join(each.offers, ","), func(t *testing.T) {
			config := ca.Config("ann")
			config.NextProtos = each.offers
			conn, err := tls.Dial("tcp", addr, config)
			if err != nil {
				if each.agrees {
					t.Error(err)
				}
				return
			}
			defer conn.Close()
			if got := conn.ConnectionState().NegotiatedProtocol; each.agrees && got != "h2" {
				t.Errorf("agreed on %q", got)
			}
			if each.agrees {
				return
			}
			if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection stays open")
			}
		})
	}
}

// TestAHandshakeThatStopsHoldsUpNobody has clients that connect, or begin, and say no more.
func TestAHandshakeThatStopsHoldsUpNobody(t *testing.T) {
	ca := harness.NewAuthority(t)
	_, encrypted := secured(t, ca, false)
	_, plain := start(t, "")
	for i, addr := range slices.Repeat([]string{encrypted, plain}, 50) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%4 < 2 {
			continue
		}
		begins := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"
		if addr == plain {
			begins = "PRI * HTTP/2.0\r\n"
		}
		if _, err := conn.Write([]byte(begins)); err != nil {
			t.Fatal(err)
		}
	}
	for addr, with := range map[string]credentials.TransportCredentials{encrypted: credentials.NewTLS(ca.Config("ann")), plain: insecure.NewCredentials()} {
		if _, err := official(t, addr, with).FetchMetadata(within(t), &pb.FetchMetadataRequest{}); err != nil {
			t.Error(err)
		}
	}
}
