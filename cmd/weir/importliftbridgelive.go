package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	wire "github.com/weirmq/weir/internal/wire/liftbridge"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"github.com/weirmq/weir/internal/wire/liftbridge/store"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// liftServer is a running Liftbridge server, or a cluster of them.
type liftServer struct {
	flags   *importLiftFlags
	opts    []grpc.DialOption
	first   *grpc.ClientConn            // to the address that was given
	others  map[string]*grpc.ClientConn // by address
	brokers []*pb.Broker
	timeout time.Duration // of a request
	quiet   time.Duration // nothing more comes after so long
}

// largestLift bounds a message with what is around it, bytes.
const largestLift = 256 << 20

// importLiftFrom copies streams from a running server.
func (a *app) importLiftFrom(ctx context.Context, f *importLiftFlags) error {
	s := &liftServer{flags: f, others: map[string]*grpc.ClientConn{}, timeout: max(a.timeout, snapshotPatience), quiet: oldQuiet}
	addr, err := s.access(a)
	if err != nil {
		return err
	}
	if s.first, err = grpc.NewClient("passthrough:///"+addr, s.opts...); err != nil {
		return fmt.Errorf("prepare to connect to %s: %w", addr, err)
	}
	defer s.close()
	streams, cursors, err := s.streams(ctx, addr)
	if err != nil {
		return err
	}
	if err := s.addCursors(ctx, a, streams, cursors); err != nil {
		return err
	}
	return a.importLift(ctx, f, streams)
}

// access finds the address, and how to show who asks.
func (s *liftServer) access(a *app) (addr string, err error) {
	f := s.flags
	addr, encrypted := strings.CutPrefix(f.from, "tls://")
	if strings.Contains(addr, "://") || strings.Contains(addr, ",") {
		return "", fmt.Errorf("--from %q is no address such as HOST:9292 or tls://HOST:9292", redact(f.from))
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		addr = net.JoinHostPort(strings.Trim(addr, "[]"), "9292")
	}
	by := insecure.NewCredentials()
	if encrypted || f.ca != "" || f.cert != "" {
		c, err := f.tls()
		if err != nil {
			return "", err
		}
		by = credentials.NewTLS(c)
	}
	s.opts = []grpc.DialOption{grpc.WithTransportCredentials(by), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestLift))}
	switch token := orEnv(f.token, a.getenv, "WEIR_FROM_TOKEN"); {
	case token != "":
		s.opts = append(s.opts, grpc.WithPerRPCCredentials(whoAsks("Bearer "+token)))
	case f.user != "":
		pair := f.user + ":" + orEnv(f.pass, a.getenv, "WEIR_FROM_PASSWORD")
		s.opts = append(s.opts, grpc.WithPerRPCCredentials(whoAsks("Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))))
	}
	return addr, nil
}

// tls is how a connection is encrypted.
func (f *fromFlags) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		b, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("read --from-ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("--from-ca %s has no certificate", f.ca)
		}
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, fmt.Errorf("read --from-cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// whoAsks is the metadata that says who a caller is.
type whoAsks string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (w whoAsks) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": string(w)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: the address says
// whether there is some.
func (w whoAsks) RequireTransportSecurity() bool { return false }

func (s *liftServer) close() {
	_ = s.first.Close() // nothing is on its way any more
	for _, c := range s.others {
		_ = c.Close()
	}
}

// api is one of the servers.
func (s *liftServer) api() pb.APIClient { return pb.NewAPIClient(s.first) }

// leaderOf is the server that has a partition.
func (s *liftServer) leaderOf(p *pb.PartitionMetadata) (pb.APIClient, error) {
	if len(s.brokers) <= 1 {
		return s.api(), nil
	}
	i := slices.IndexFunc(s.brokers, func(b *pb.Broker) bool { return b.Id == p.Leader })
	if i < 0 {
		return nil, fmt.Errorf("the server that leads partition %d, %q, is not there", p.Id, p.Leader)
	}
	addr := net.JoinHostPort(s.brokers[i].Host, strconv.Itoa(int(s.brokers[i].Port)))
	if s.others[addr] == nil {
		c, err := grpc.NewClient("passthrough:///"+addr, s.opts...)
		if err != nil {
			return nil, fmt.Errorf("prepare to connect to %s: %w", addr, err)
		}
		s.others[addr] = c
	}
	return pb.NewAPIClient(s.others[addr]), nil
}

// streams finds those to copy, and the one that cursors are kept in; nil: it is not there.
func (s *liftServer) streams(ctx context.Context, addr string) (all []*liftStream, cursors *pb.StreamMetadata, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	m, err := s.api().FetchMetadata(ctx, &pb.FetchMetadataRequest{})
	if err != nil {
		return nil, nil, fmt.Errorf("ask %s for its streams: %w", addr, plainStatus(err))
	}
	s.brokers = m.Brokers
	by := map[string]*pb.StreamMetadata{}
	var names []string
	for _, d := range m.StreamMetadata {
		by[d.Name] = d
		if !strings.HasPrefix(d.Name, "__") {
			names = append(names, d.Name)
		}
	}
	slices.Sort(names)
	if names, err = chosenStreams(addr, names, s.flags.streams); err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		one, err := s.stream(by[name])
		if err != nil {
			return nil, nil, fmt.Errorf("stream %s: %w", name, err)
		}
		all = append(all, one)
	}
	return all, by[cursorsStream], nil
}

// stream reads what a server tells of one.
func (s *liftServer) stream(d *pb.StreamMetadata) (*liftStream, error) {
	if d.Error != pb.StreamMetadata_OK || len(d.Partitions) == 0 {
		return nil, fmt.Errorf("the server tells nothing of it (%s)", d.Error)
	}
	out := &liftStream{Stream: &store.Stream{
		Settings: wire.Settings{Name: d.Name, Subject: d.Subject, Partitions: int32(len(d.Partitions))}, Created: d.CreationTimestamp,
		ReadOnly: map[int32]bool{},
	}}
	for k := range out.Partitions {
		p := d.Partitions[k]
		if p == nil {
			return nil, fmt.Errorf("it has %d partitions, of which %d is not there", out.Partitions, k)
		}
		out.ReadOnly[k] = p.Readonly
	}
	out.source = func(k int32) partitionSource {
		return &livePartition{liftServer: s, of: out.Stream, meta: d.Partitions[k], resume: s.flags.resumePaused}
	}
	return out, nil
}

// addCursors finds the cursors of streams: those of the stream that they are kept in, and
// those that --cursor names.
func (s *liftServer) addCursors(ctx context.Context, a *app, streams []*liftStream, kept *pb.StreamMetadata) error {
	if kept != nil {
		// A server pauses their partitions by itself, and resumes them for who asks for one.
		for k, meta := range kept.Partitions {
			p := &livePartition{liftServer: s, of: &store.Stream{Settings: wire.Settings{Name: cursorsStream}}, meta: meta, resume: true}
			err := p.all(ctx, func(m *pb.Message) { setCursorOf(streams, m.Value) })
			if err != nil && len(s.flags.cursors) == 0 {
				a.warn("cursors are left out: partition %d of %s cannot be read (%s); --cursor names them", k, cursorsStream, plainText(err))
				for _, one := range streams {
					one.cursors = nil
				}
				return nil
			}
		}
	}
	for _, one := range streams {
		for k := range one.Partitions {
			for _, id := range s.flags.cursors {
				if err := s.fetchCursor(ctx, one, k, id); err != nil {
					return fmt.Errorf("ask for the cursor %s of stream %s, partition %d: %w", id, one.Name, k, plainStatus(err))
				}
			}
		}
	}
	return nil
}

// fetchCursor asks the servers for a cursor: one of them has it.
func (s *liftServer) fetchCursor(ctx context.Context, of *liftStream, k int32, id string) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	q := &pb.FetchCursorRequest{Stream: of.Name, Partition: k, CursorId: id}
	c, err := s.api().FetchCursor(ctx, q)
	for i := 0; status.Code(err) == codes.FailedPrecondition && i < len(s.brokers); i++ {
		var api pb.APIClient
		if api, err = s.leaderOf(&pb.PartitionMetadata{Id: k, Leader: s.brokers[i].Id}); err == nil {
			c, err = api.FetchCursor(ctx, q)
		}
	}
	if err == nil && c.Offset >= 0 {
		of.setCursor(k, id, c.Offset)
	}
	return err
}

// plainStatus puts a status of gRPC into words.
func plainStatus(err error) error {
	if s, ok := status.FromError(err); ok && s.Code() != codes.OK {
		return fmt.Errorf("%s (%s)", s.Message(), s.Code())
	}
	return err
}

// errOver says that the server has sent all that there is.
var errOver = errors.New("there is no more")

// liftSub is a subscription.
type liftSub struct {
	call   pb.API_SubscribeClient
	cancel context.CancelFunc
	quiet  time.Duration
}

// subscribe begins to read a partition.
func (p *livePartition) subscribe(ctx context.Context, q *pb.SubscribeRequest) (*liftSub, error) {
	q.Stream, q.Partition = p.of.Name, p.meta.Id
	api, err := p.leaderOf(p.meta)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &liftSub{cancel: cancel, quiet: max(p.quiet, p.timeout)}
	if s.call, err = api.Subscribe(ctx, q); err == nil {
		_, err = s.next() // that it begins
	}
	if err != nil {
		cancel()
		return nil, err
	}
	s.quiet = p.quiet
	return s, nil
}

// next waits for a message: errQuiet where none comes in time, errOver where none will.
func (s *liftSub) next() (*pb.Message, error) {
	late := time.AfterFunc(s.quiet, s.cancel)
	m, err := s.call.Recv()
	switch inTime := late.Stop(); {
	case err == nil:
		return m, nil
	case status.Code(err) == codes.ResourceExhausted:
		return nil, errOver
	case !inTime && status.Code(err) == codes.Canceled:
		return nil, errQuiet
	}
	return nil, plainStatus(err)
}
