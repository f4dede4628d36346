package liftbridge

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
	"github.com/weirmq/weir/internal/wire/liftbridge/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// users lets in whom it has, with the password "p", or by a token of their name.
type users struct {
	mu  sync.Mutex
	all map[string]*Identity // guarded by mu
}

func (u *users) set(name, account string, may Permissions) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == nil {
		u.all = map[string]*Identity{}
	}
	u.all[name] = &Identity{Account: account, User: name, May: may}
}

func (u *users) remove(name string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.all, name)
}

// Authenticate implements Authenticator.
func (u *users) Authenticate(c Credentials) (*Identity, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	name := c.User + c.Token
	if id := u.all[name]; id != nil && (c.Token != "" || c.Password == "p") {
		return id, nil
	}
	return nil, errors.New("nobody of that name")
}

// permitted are the permissions of a user as the server has them.
type permitted struct{ *auth.Permissions }

func (p permitted) MayRead(pattern string) bool { return p.MaySubscribe(pattern, "") }

// may compiles permissions; of a text with a dash in front the rest is denied.
func may(t *testing.T, publish, subscribe string) Permissions {
	t.Helper()
	rule := func(list string) auth.Rule {
		r := auth.Rule{Allowing: true}
		for s := range strings.FieldsSeq(list) {
			if denied, ok := strings.CutPrefix(s, "-"); ok {
				r.Deny = append(r.Deny, denied)
			} else {
				r.Allow = append(r.Allow, s)
			}
		}
		return r
	}
	p, err := auth.Compile(rule(publish), rule(subscribe), nil)
	if err != nil {
		t.Fatal(err)
	}
	return permitted{p}
}

// user is a context of calls by a user.
func (r *rig) user(name string) context.Context {
	return metadata.AppendToOutgoingContext(r.ctx(), "authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(name+":p")))
}

func TestAUserHasToMayAllThatItsPartitionsTake(t *testing.T) {
	var u users
	u.set("root", "A", nil)
	u.set("some", "A", may(t, "s o.* -o.secret", "s s.1"))
	u.set("all", "A", may(t, "s s.* o.> n", "s s.*"))
	r := newRig(t, func(o *Options) { o.Auth = &u })
	root, some, all := r.user("root"), r.user("some"), r.user("all")
	if _, err := r.CreateStream(root, &pb.CreateStreamRequest{Name: "s", Subject: "s", Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		call func(ctx context.Context) error
		also codes.Code // of who may
	}{
		{"CreateStream on resource n1", func(ctx context.Context) error {
			_, err := r.CreateStream(ctx, &pb.CreateStreamRequest{Name: "n1", Subject: "s", Partitions: 2})
			return err
		}, codes.OK},
		{"CreateStream on resource n2", func(ctx context.Context) error {
			_, err := r.CreateStream(ctx, &pb.CreateStreamRequest{Name: "n2", Subject: "o.*"})
			return err
		}, codes.OK},
		{"PauseStream on resource s", func(ctx context.Context) error {
			_, err := r.PauseStream(ctx, &pb.PauseStreamRequest{Name: "s", Partitions: []int32{0, 2}})
			return err
		}, codes.OK},
		{"SetStreamReadonly on resource s", func(ctx context.Context) error {
			_, err := r.SetStreamReadonly(ctx, &pb.SetStreamReadonlyRequest{Name: "s"})
			return err
		}, codes.OK},
		{"Publish on resource s", func(ctx context.Context) error {
			_, err := r.Publish(ctx, &pb.PublishRequest{Stream: "s", Partition: 1})
			return err
		}, codes.OK},
		{"Subscribe on resource s", func(ctx context.Context) error {
			return first(r.Subscribe(ctx, &pb.SubscribeRequest{Stream: "s", Partition: 2, StartPosition: 9}))
		}, codes.InvalidArgument},
		{"SetCursor on resource s", func(ctx context.Context) error {
			_, err := r.SetCursor(ctx, &pb.SetCursorRequest{Stream: "s", Partition: 2, CursorId: "c"})
			return err
		}, codes.OK},
		{"FetchPartitionMetadata on resource s", func(ctx context.Context) error {
			_, err := r.FetchPartitionMetadata(ctx, &pb.FetchPartitionMetadataRequest{Stream: "s", Partition: 2})
			return err
		}, codes.FailedPrecondition},
		{"Subscribe on resource s", func(ctx context.Context) error {
			_, err := r.JoinConsumerGroup(ctx, &pb.JoinConsumerGroupRequest{GroupId: "g", ConsumerId: "m", Streams: []string{"s"}})
			return err
		}, codes.OK},
		{"DeleteStream on resource s", func(ctx context.Context) error {
			_, err := r.DeleteStream(ctx, &pb.DeleteStreamRequest{Name: "s"})
			return err
		}, codes.OK},
	} {
		code(t, c.call(some), codes.Unknown, "The client is not authorized to call "+c.name)
		if err := c.call(all); status.Code(err) != c.also {
			t.Errorf("%s by who may: %v", c.name, err)
		}
	}
}

// TestAUserIsToldWhatItsStreamsAreLike has others be there by name, so that clients get
// the reason when they try to use them.
func TestAUserIsToldWhatItsStreamsAreLike(t *testing.T) {
	var u users
	u.set("root", "A", nil)
	u.set("reader", "A", may(t, "", "mine.>"))
	u.set("writer", "A", may(t, "mine.out", ""))
	r := newRig(t, func(o *Options) { o.Auth = &u })
	root := r.user("root")
	for _, name := range []string{"mine.in", "mine.out", "yours"} {
		if _, err := r.CreateStream(root, &pb.CreateStreamRequest{Name: name, Subject: name}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Publish(root, &pb.PublishRequest{Stream: name}); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][]string{
		"root": {"mine.in", "mine.out", "yours"}, "reader": {"mine.in", "mine.out"}, "writer": {"mine.out"},
	} {
		for _, named := range [][]string{nil, {"mine.in", "mine.out", "yours"}} {
			resp, err := r.FetchMetadata(r.user(name), &pb.FetchMetadataRequest{Streams: named})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			there := 0
			for _, s := range resp.StreamMetadata {
				p := s.Partitions[0]
				switch {
				case reserved(s.Name):
					continue
				case s.Error != 0 || p.GetLeader() != "me" || len(p.Isr) != 1 || p.PauseTimestamps == nil:
					t.Errorf("%s is not told where %s is: %v", name, s.Name, s)
				case p.MessagesReceivedTimestamps.LatestTimestamp > 0 && s.Subject == s.Name && s.CreationTimestamp > 0:
					got = append(got, s.Name)
				case p.MessagesReceivedTimestamps.LatestTimestamp > 0 || s.Subject != "" || s.CreationTimestamp > 0:
					t.Errorf("%s is told something of %s: %v", name, s.Name, s)
				}
				there++
			}
			if !slices.Equal(got, want) || there != 3 {
				t.Errorf("%s is told of %q, and there are %d", name, got, there)
			}
		}
	}
}

// TestAUserReceivesWhatItMayReadOnly has messages by many ways in one stream.
func TestAUserReceivesWhatItMayReadOnly(t *testing.T) {
	var u users
	u.set("root", "A", nil)
	u.set("some", "A", may(t, ">", "o.* -o.secret a b"))
	u.set("few", "A", may(t, ">", "a"))
	r := newRig(t, func(o *Options) { o.Auth = &u })
	if _, err := r.CreateStream(r.user("root"), &pb.CreateStreamRequest{Name: "o", Subject: "o.*"}); err != nil {
		t.Fatal(err)
	}
	var made struct{ Error *struct{ Description string } }
	r.request("STREAM.CREATE.js", map[string]any{"name": "js", "subjects": []string{"a", "b"}, "storage": "file"}, &made)
	if made.Error != nil {
		t.Fatal(made.Error)
	}
	in := r.listen("_acks")
	for _, s := range []string{"o.1", "o.secret", "o.2", "a", "b"} {
		r.space.Publish(&broker.Message{Subject: []byte(s), Reply: []byte("_acks"), Data: []byte(s)})
		if s == "a" || s == "b" {
			in.next(t)
		}
	}
	read := func(name, stream string) (got []string, err error) {
		sub, err := r.Subscribe(r.user(name), &pb.SubscribeRequest{Stream: stream, StartPosition: pb.StartPosition_EARLIEST})
		if err := first(sub, err); err != nil {
			return nil, err
		}
		for len(got) < 2 {
			m, err := sub.Recv()
			if err != nil {
				return got, err
			}
			got = append(got, string(m.Value))
		}
		return got, nil
	}
	for _, c := range []struct {
		user, stream string
		want         []string
	}{
		{"root", "o", []string{"o.1", "o.secret"}}, {"some", "o", []string{"o.1", "o.2"}}, {"some", "js", []string{"a", "b"}},
	} {
		if got, err := read(c.user, c.stream); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s reads of %s: %q %v", c.user, c.stream, got, err)
		}
	}
	_, err := read("few", "js")
	code(t, err, codes.Unknown, "The client is not authorized to call Subscribe on resource js")
}

func TestCallsOfWhoIsNotLetInAnyMoreEnd(t *testing.T) {
	var u users
	u.set("stays", "A", nil)
	u.set("goes", "A", nil)
	u.set("moves", "A", nil)
	u.set("less", "A", nil)
	o, at := testOptions(), new(atomic.Pointer[Door])
	o.Auth = &u
	n := nodeOptions(&o, at)
	n.Accounts = []string{"A", "B"}
	r := serve(t, streamtest.Start(t, n), o, at)
	if _, err := r.CreateStream(r.user("stays"), &pb.CreateStreamRequest{Name: "s", Subject: "s"}); err != nil {
		t.Fatal(err)
	}
	subs, pubs := map[string]pb.API_SubscribeClient{}, map[string]pb.API_PublishAsyncClient{}
	for _, name := range []string{"stays", "goes", "moves", "less"} {
		sub, err := r.Subscribe(r.user(name), &pb.SubscribeRequest{Stream: "s"})
		if err := first(sub, err); err != nil {
			t.Fatal(err)
		}
		pub, err := r.PublishAsync(r.user(name))
		if err != nil {
			t.Fatal(err)
		}
		if resp := exchange(t, pub, &pb.PublishRequest{Stream: "none"}); resp.AsyncError == nil {
			t.Fatal(resp)
		}
		subs[name], pubs[name] = sub, pub
	}
	u.remove("goes")
	u.set("moves", "B", nil)
	u.set("less", "A", may(t, "other", "other"))
	r.door.UpdateRules(nil)
	for name, want := range map[string]codes.Code{"goes": codes.Unauthenticated, "moves": codes.Unavailable} {
		_, err := pubs[name].Recv()
		if status.Code(err) != want {
			t.Errorf("PublishAsync of %s: %v", name, err)
		}
		if _, err := subs[name].Recv(); status.Code(err) != want {
			t.Errorf("Subscribe of %s: %v", name, err)
		}
	}
	_, err := subs["less"].Recv()
	code(t, err, codes.PermissionDenied, "The client is not authorized to call Subscribe on resource s")
	if resp := exchange(t, pubs["less"], &pb.PublishRequest{Stream: "s", Value: []byte("x")}); resp.AsyncError.GetCode() != pb.PublishAsyncError_PERMISSION_DENIED {
		t.Error(resp)
	}
	if resp := exchange(t, pubs["stays"], &pb.PublishRequest{Stream: "s", Value: []byte("y")}); resp.Ack.GetOffset() != 0 || resp.AsyncError != nil {
		t.Error(resp)
	}
	if m, err := subs["stays"].Recv(); err != nil || string(m.Value) != "y" {
		t.Error(m, err)
	}
}

func TestATokenSaysWhoCallsToo(t *testing.T) {
	var u users
	u.set("ann", "A", nil)
	r := newRig(t, func(o *Options) { o.Auth = &u })
	for shown, want := range map[string]codes.Code{
		"Bearer ann": codes.OK, "bearer  ann ": codes.OK, "Bearer ben": codes.Unauthenticated, "Basic ann": codes.Unauthenticated,
		"Digest ann": codes.Unauthenticated, "": codes.Unauthenticated,
	} {
		_, err := r.FetchMetadata(metadata.AppendToOutgoingContext(r.ctx(), "authorization", shown), &pb.FetchMetadataRequest{})
		if status.Code(err) != want {
			t.Errorf("%q: %v", shown, err)
		}
	}
}
