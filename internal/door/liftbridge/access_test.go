package liftbridge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/api/weirfb"
	"github.com/weirmq/weir/internal/auth/policy"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// exactModel has rules hold as they stand.
const exactModel = `[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
`

// policyOf reads a policy of the rules, "name, resource, action" each.
func policyOf(t *testing.T, rules ...string) Policy {
	t.Helper()
	dir := t.TempDir()
	model, file := filepath.Join(dir, "model.conf"), filepath.Join(dir, "policy.csv")
	text := "p, nobody, nothing, Nothing\n"
	for _, r := range rules {
		text += "p, " + r + "\n"
	}
	if err := errors.Join(os.WriteFile(model, []byte(exactModel), 0o600), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	m, err := policy.ReadModel(model)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.ReadPolicy(file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// authority signs the certificates of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

func (a *authority) sign(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return signed, key
}

// pair is a certificate of that common name for either end.
func (a *authority) pair(name string) tls.Certificate {
	c, key := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	})
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// secure has the door ask for certificates that a signs.
func (a *authority) secure(o *Options) {
	o.TLS = &tls.Config{Certificates: []tls.Certificate{a.pair("server")}, ClientCAs: a.pool(), ClientAuth: tls.VerifyClientCertIfGiven}
}

// as is a client with a certificate of that name; without one if it is empty.
func (r *rig) as(a *authority, name string) *grpc.ClientConn {
	r.t.Helper()
	c := &tls.Config{RootCAs: a.pool(), MinVersion: tls.VersionTLS12}
	if name != "" {
		c.Certificates = []tls.Certificate{a.pair(name)}
	}
	at := r.door.advertised.Load()
	conn, err := grpc.NewClient(net.JoinHostPort(at.host, strconv.Itoa(int(at.port))), grpc.WithTransportCredentials(credentials.NewTLS(c)))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			r.t.Error(err)
		}
	})
	return conn
}

// first is the error with which a subscription begins, if any.
func first(s grpc.ServerStreamingClient[pb.Message], err error) error {
	if err == nil {
		_, err = s.Recv()
	}
	return err
}

// asyncly publishes one message on a call of its own.
func asyncly(ctx context.Context, c pb.APIClient, req *pb.PublishRequest) error {
	a, err := c.PublishAsync(ctx)
	if err != nil {
		return err
	}
	if err := a.Send(req); err != nil {
		return err
	}
	resp, err := a.Recv()
	if err == nil && resp.AsyncError != nil {
		return status.Error(codes.Unknown, resp.AsyncError.Code.String()+" "+resp.AsyncError.Message)
	}
	return errors.Join(err, a.CloseSend())
}

// inBatch publishes one message in a batch.
func inBatch(ctx context.Context, conn *grpc.ClientConn, req *pb.PublishRequest) error {
	call, err := weirfb.NewStreamClient(forced{conn}).Publish(ctx)
	if err != nil {
		return err
	}
	if err := call.Send(batchOf(req)); err != nil {
		return err
	}
	batch, err := call.Recv()
	if err != nil {
		return err
	}
	var a weirfb.Answer
	if batch.Answers(&a, 0); a.Refusal(nil) != nil {
		return status.Error(codes.Unknown, a.Refusal(nil).Code().String()+" "+string(a.Refusal(nil).Message()))
	}
	return call.CloseSend()
}

// TestEachCallNeedsItsRule makes every call twice: with all rules but its own, and with
// its own alone.
func TestEachCallNeedsItsRule(t *testing.T) {
	ca := newAuthority(t)
	r := newRig(t, ca.secure)
	conn := r.as(ca, "ann")
	c := pb.NewAPIClient(conn)
	ctx := r.ctx()
	if _, err := c.CreateStream(ctx, &pb.CreateStreamRequest{Name: "s", Subject: "s"}); err != nil {
		t.Fatal(err)
	}
	var epoch uint64
	calls := []struct {
		name, rule string
		call       func() error
		want       codes.Code
	}{
		{"CreateStream", "n, CreateStream", func() error {
			_, err := c.CreateStream(ctx, &pb.CreateStreamRequest{Name: "n", Subject: "n"})
			return err
		}, codes.OK},
		{"DeleteStream", "n, DeleteStream", func() error {
			_, err := c.DeleteStream(ctx, &pb.DeleteStreamRequest{Name: "n"})
			return err
		}, codes.OK},
		{"PauseStream", "s, PauseStream", func() error {
			_, err := c.PauseStream(ctx, &pb.PauseStreamRequest{Name: "s"})
			return err
		}, codes.OK},
		{"Publish", "s, Publish", func() error {
			_, err := c.Publish(ctx, &pb.PublishRequest{Stream: "s"})
			return err
		}, codes.OK},
		{"PublishAsync", "s, Publish", func() error {
			return asyncly(ctx, c, &pb.PublishRequest{Stream: "s"})
		}, codes.OK},
		{"weir.Stream/Publish", "s, Publish", func() error {
			return inBatch(ctx, conn, &pb.PublishRequest{Stream: "s"})
		}, codes.OK},
		{"weir.Stream/Subscribe", "s, Subscribe", func() error {
			call, err := weirfb.NewStreamClient(forced{conn}).Subscribe(ctx, requestOf(&pb.SubscribeRequest{Stream: "s"}, 0, 0))
			if err == nil {
				_, err = call.Recv()
			}
			return err
		}, codes.OK},
		{"PublishToSubject", "s, PublishToSubject", func() error {
			_, err := c.PublishToSubject(ctx, &pb.PublishToSubjectRequest{Subject: "s"})
			return err
		}, codes.OK},
		{"SetStreamReadonly", "s, SetStreamReadonly", func() error {
			_, err := c.SetStreamReadonly(ctx, &pb.SetStreamReadonlyRequest{Name: "s"})
			return err
		}, codes.OK},
		{"Subscribe", "s, Subscribe", func() error {
			return first(c.Subscribe(ctx, &pb.SubscribeRequest{Stream: "s"}))
		}, codes.OK},
		{"FetchMetadata", "*, FetchMetadata", func() error {
			_, err := c.FetchMetadata(ctx, &pb.FetchMetadataRequest{})
			return err
		}, codes.OK},
		{"FetchPartitionMetadata", "s, FetchPartitionMetadata", func() error {
			_, err := c.FetchPartitionMetadata(ctx, &pb.FetchPartitionMetadataRequest{Stream: "s"})
			return err
		}, codes.OK},
		{"SetCursor", "s, SetCursor", func() error {
			_, err := c.SetCursor(ctx, &pb.SetCursorRequest{Stream: "s", CursorId: "c"})
			return err
		}, codes.OK},
		{"FetchCursor", "s, FetchCursor", func() error {
			_, err := c.FetchCursor(ctx, &pb.FetchCursorRequest{Stream: "s", CursorId: "c"})
			return err
		}, codes.OK},
		{"JoinConsumerGroup", "s, Subscribe", func() error {
			resp, err := c.JoinConsumerGroup(ctx, &pb.JoinConsumerGroupRequest{GroupId: "g", ConsumerId: "m", Streams: []string{"s"}})
			epoch = resp.GetEpoch()
			return err
		}, codes.OK},
		{"FetchConsumerGroupAssignments", "s, Subscribe", func() error {
			_, err := c.FetchConsumerGroupAssignments(ctx, &pb.FetchConsumerGroupAssignmentsRequest{GroupId: "g", ConsumerId: "m", Epoch: epoch})
			return err
		}, codes.OK},
		{"ReportConsumerGroupCoordinator", "s, Subscribe", func() error {
			_, err := c.ReportConsumerGroupCoordinator(ctx, &pb.ReportConsumerGroupCoordinatorRequest{GroupId: "g", ConsumerId: "m", Coordinator: "me", Epoch: epoch})
			return err
		}, codes.FailedPrecondition},
		{"LeaveConsumerGroup", "s, Subscribe", func() error {
			_, err := c.LeaveConsumerGroup(ctx, &pb.LeaveConsumerGroupRequest{GroupId: "g", ConsumerId: "m"})
			return err
		}, codes.OK},
	}
	if got, want := len(calls), len(pb.API_ServiceDesc.Methods)+len(pb.API_ServiceDesc.Streams)+len(batchService.Streams); got != want {
		t.Fatalf("%d of %d calls are made", got, want)
	}
	for _, call := range calls {
		others := []string{"ben, " + call.rule}
		for _, o := range calls {
			if o.rule != call.rule {
				others = append(others, "ann, "+o.rule)
			}
		}
		r.door.UpdateRules(policyOf(t, others...))
		resource, action, _ := strings.Cut(call.rule, ", ")
		text := "The client is not authorized to call " + action + " on resource " + resource
		if call.name == "PublishAsync" || call.name == "weir.Stream/Publish" {
			text = "PERMISSION_DENIED " + text
		}
		t.Log(call.name)
		code(t, call.call(), codes.Unknown, text)
		r.door.UpdateRules(policyOf(t, "ann, "+call.rule))
		if err := call.call(); status.Code(err) != call.want {
			t.Errorf("with the rule: %v", err)
		}
	}
}

func TestWhoShowsNoCertificateMayDoNothingWhereAPolicyHolds(t *testing.T) {
	ca := newAuthority(t)
	r := newRig(t, ca.secure, func(o *Options) { o.Policy = policyOf(t, "ann, *, FetchMetadata", ", *, FetchMetadata") })
	for _, name := range []string{"", "ann", "ben"} {
		conn := r.as(ca, name)
		if h, err := grpc_health_v1.NewHealthClient(conn).Check(r.ctx(), &grpc_health_v1.HealthCheckRequest{Service: "proto.API"}); err != nil || h.Status != 1 {
			t.Errorf("health of %q: %v %v", name, h, err)
		}
		_, err := pb.NewAPIClient(conn).FetchMetadata(r.ctx(), &pb.FetchMetadataRequest{})
		switch name {
		case "":
			code(t, err, codes.Unknown, "api: Failed to retrieve client ID")
		case "ann":
			code(t, err, codes.OK, "")
		default:
			code(t, err, codes.Unknown, "The client is not authorized to call FetchMetadata on resource *")
		}
	}
}

// TestADenialComesAsTheProtocolOrdersIt has everything be wrong at once.
func TestADenialComesAsTheProtocolOrdersIt(t *testing.T) {
	ca := newAuthority(t)
	r := newRig(t, ca.secure)
	c := pb.NewAPIClient(r.as(ca, "ann"))
	if _, err := c.CreateStream(r.ctx(), &pb.CreateStreamRequest{Name: "s", Subject: "s"}); err != nil {
		t.Fatal(err)
	}
	r.door.UpdateRules(policyOf(t))
	no := func(action, resource string) string {
		return "The client is not authorized to call " + action + " on resource " + resource
	}
	for _, x := range []struct {
		call func() error
		code codes.Code
		text string
	}{
		{func() error {
			_, err := c.CreateStream(r.ctx(), &pb.CreateStreamRequest{Name: "__cursors", Subject: "x"})
			return err
		}, codes.InvalidArgument, "Stream is reserved"},
		{func() error {
			_, err := c.CreateStream(r.ctx(), &pb.CreateStreamRequest{Name: "s", Subject: "s", ReplicationFactor: 9})
			return err
		}, codes.Unknown, no("CreateStream", "s")},
		{func() error {
			_, err := c.DeleteStream(r.ctx(), &pb.DeleteStreamRequest{Name: "__cursors"})
			return err
		}, codes.Unknown, no("DeleteStream", "__cursors")},
		{func() error {
			_, err := c.PauseStream(r.ctx(), &pb.PauseStreamRequest{Name: "none"})
			return err
		}, codes.Unknown, no("PauseStream", "none")},
		{func() error {
			_, err := c.FetchPartitionMetadata(r.ctx(), &pb.FetchPartitionMetadataRequest{Stream: "none"})
			return err
		}, codes.Unknown, no("FetchPartitionMetadata", "none")},
		{func() error {
			_, err := c.Publish(r.ctx(), &pb.PublishRequest{Stream: "none"})
			return err
		}, codes.NotFound, "no such stream: none"},
		{func() error {
			_, err := c.Publish(r.ctx(), &pb.PublishRequest{Stream: "s", Partition: 9})
			return err
		}, codes.Unknown, no("Publish", "s")},
		{func() error {
			_, err := c.PublishToSubject(r.ctx(), &pb.PublishToSubjectRequest{Subject: "a b"})
			return err
		}, codes.Unknown, no("PublishToSubject", "a b")},
		{func() error {
			_, err := c.SetCursor(r.ctx(), &pb.SetCursorRequest{Stream: "s"})
			return err
		}, codes.InvalidArgument, "No cursorId provided"},
		{func() error {
			return first(c.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "s", Partition: 9}))
		}, codes.NotFound, "No such partition"},
		{func() error {
			return first(c.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "s", StartPosition: 9}))
		}, codes.Unknown, no("Subscribe", "s")},
	} {
		code(t, x.call(), x.code, x.text)
	}
}

// TestASubscriptionEndsWhenItIsNotAllowedAnyMore has two clients read: one may go on.
func TestASubscriptionEndsWhenItIsNotAllowedAnyMore(t *testing.T) {
	ca := newAuthority(t)
	r := newRig(t, ca.secure)
	ann, ben := pb.NewAPIClient(r.as(ca, "ann")), pb.NewAPIClient(r.as(ca, "ben"))
	if _, err := ann.CreateStream(r.ctx(), &pb.CreateStreamRequest{Name: "s", Subject: "s"}); err != nil {
		t.Fatal(err)
	}
	subs := map[string]pb.API_SubscribeClient{}
	for name, c := range map[string]pb.APIClient{"ann": ann, "ben": ben} {
		s, err := c.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "s"})
		if err := first(s, err); err != nil {
			t.Fatal(err)
		}
		subs[name] = s
	}
	r.door.UpdateRules(policyOf(t, "ann, s, Publish", "ann, s, Subscribe"))
	_, err := subs["ben"].Recv()
	code(t, err, codes.PermissionDenied, "The client is not authorized to call Subscribe on resource s")
	if _, err := ann.Publish(r.ctx(), &pb.PublishRequest{Stream: "s", Value: []byte("on")}); err != nil {
		t.Fatal(err)
	}
	if m, err := subs["ann"].Recv(); err != nil || string(m.Value) != "on" {
		t.Fatal(m, err)
	}
	r.door.UpdateRules(nil)
	if err := first(ben.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "s"})); err != nil {
		t.Error("without a policy: ", err)
	}
}

func TestAsyncPublishingFollowsThePolicyMessageByMessage(t *testing.T) {
	ca := newAuthority(t)
	r := newRig(t, ca.secure)
	c := pb.NewAPIClient(r.as(ca, "ann"))
	if _, err := c.CreateStream(r.ctx(), &pb.CreateStreamRequest{Name: "s", Subject: "s"}); err != nil {
		t.Fatal(err)
	}
	a, err := c.PublishAsync(r.ctx())
	if err != nil {
		t.Fatal(err)
	}
	put := func(value string, policy pb.AckPolicy) *pb.PublishResponse {
		return exchange(t, a, &pb.PublishRequest{Stream: "s", Value: []byte(value), CorrelationId: value, AckPolicy: policy})
	}
	may, mayNot := policyOf(t, "ann, s, Publish", "ann, s, Subscribe"), policyOf(t, "ann, s, Subscribe")
	for i, p := range []Policy{nil, mayNot, may, mayNot, may} {
		r.door.UpdateRules(p)
		if p != mayNot {
			if resp := put(strconv.Itoa(i), pb.AckPolicy_ALL); resp.AsyncError != nil || resp.Ack.GetCorrelationId() != strconv.Itoa(i) {
				t.Fatal(resp)
			}
			continue
		}
		// It is told also with NONE, with an empty ack.
		resp := put("refused", pb.AckPolicy_NONE)
		if e := resp.AsyncError; e.GetCode() != pb.PublishAsyncError_PERMISSION_DENIED || resp.CorrelationId != "refused" ||
			e.Message != "The client is not authorized to call Publish on resource s" || resp.Ack == nil {
			t.Fatal(resp)
		}
	}
	sub, err := c.Subscribe(r.ctx(), &pb.SubscribeRequest{Stream: "s", StartPosition: pb.StartPosition_EARLIEST, StopPosition: pb.StopPosition_STOP_LATEST})
	if err := first(sub, err); err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		m, err := sub.Recv()
		if status.Code(err) == codes.ResourceExhausted {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(m.Value))
	}
	if !slices.Equal(got, []string{"0", "2", "4"}) {
		t.Errorf("stored: %q", got)
	}
	if err := a.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Recv(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
