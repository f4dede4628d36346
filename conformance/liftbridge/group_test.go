package liftbridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// groupAnswer is what requests about groups are answered.
type groupAnswer struct {
	Error *struct {
		ErrCode     int `json:"err_code"`
		Description string
	}
	Epoch       uint64
	Assignments []struct {
		Name string
		Last uint64
	}
	Members    []struct{ Consumer string }
	Partitions []struct {
		Name, Consumer string
		Lag            uint64
	}
}

func askGroup(t *testing.T, nc *nats.Conn, request string, body any) groupAnswer {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	if body == nil {
		b = nil
	}
	m, err := nc.Request("$WEIR.API.GROUP."+request, b, patience)
	if err != nil {
		t.Error(err)
		return groupAnswer{}
	}
	var a groupAnswer
	if err := json.Unmarshal(m.Data, &a); err != nil {
		t.Errorf("%s: %v: %s", request, err, m.Data)
	}
	return a
}

// eventually waits for as long as a member may take to be missed, and for what follows.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("it never came true that %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// natsMember is a member of the group g that reads with a NATS client.
type natsMember struct {
	t    *testing.T
	nc   *nats.Conn
	js   jetstream.JetStream
	name string
	got  func(value string)

	mu   sync.Mutex
	last map[string]uint64 // by partition; guarded by mu
}

// run is a member until ctx ends: then it goes without a word.
func (m *natsMember) run(ctx context.Context) {
	who := map[string]any{"consumer": m.name, "streams": []string{"s"}}
	a := askGroup(m.t, m.nc, "JOIN.g", who)
	delete(who, "streams")
	for ctx.Err() == nil && a.Error == nil {
		reading, stop := context.WithCancel(ctx)
		var readers sync.WaitGroup
		m.last = map[string]uint64{}
		for _, p := range a.Assignments {
			readers.Go(func() { m.read(reading, p.Name, p.Last) })
		}
		next := a
		for ctx.Err() == nil && next.Error == nil && next.Epoch == a.Epoch {
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
				m.commit(a.Epoch)
				next = askGroup(m.t, m.nc, "ASSIGNMENTS.g", who)
			}
		}
		stop()
		readers.Wait()
		a = next
	}
	if a.Error != nil {
		m.t.Errorf("member %s: %+v", m.name, *a.Error)
	}
}

// read reads a partition from behind a sequence on.
func (m *natsMember) read(ctx context.Context, partition string, last uint64) {
	c, err := m.js.OrderedConsumer(ctx, partition, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: last + 1,
	})
	for ctx.Err() == nil {
		if err != nil {
			m.t.Errorf("member %s, %s: %v", m.name, partition, err)
			return
		}
		batch, fetchErr := c.Fetch(50, jetstream.FetchMaxWait(100*time.Millisecond))
		if err = fetchErr; err != nil {
			continue
		}
		for msg := range batch.Messages() {
			meta, err := msg.Metadata()
			if err != nil {
				m.t.Error(err)
				return
			}
			m.got(string(msg.Data()))
			m.mu.Lock()
			m.last[partition] = meta.Sequence.Stream
			m.mu.Unlock()
		}
	}
}

// commit says how far the member is. After a change of the group that is refused.
func (m *natsMember) commit(epoch uint64) {
	type cursor struct {
		Name string `json:"name"`
		Last uint64 `json:"last"`
	}
	var all []cursor
	m.mu.Lock()
	for p, last := range m.last {
		all = append(all, cursor{p, last})
	}
	m.mu.Unlock()
	if len(all) == 0 {
		return
	}
	a := askGroup(m.t, m.nc, "COMMIT.g", map[string]any{"consumer": m.name, "epoch": epoch, "cursors": all})
	if a.Error != nil && a.Error.ErrCode != 20004 && a.Error.ErrCode != 20003 {
		m.t.Errorf("member %s: %+v", m.name, *a.Error)
	}
}

// TestNATSAndLiftbridgeMembersShareAStream has two NATS clients and a Liftbridge client in
// one group, on a stream that JetStream made. One NATS client goes without a word.
func TestNATSAndLiftbridgeMembersShareAStream(t *testing.T) {
	s, addr, _ := start(t, `groups.consumer.timeout: "3s"`)
	nc := s.Connect(nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(deadline(t), jetstream.StreamConfig{
		Name: "s", Subjects: []string{"s.>"}, Metadata: map[string]string{"weir.partitions": "4"},
	}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string]bool{}
	got := func(value string) {
		mu.Lock()
		defer mu.Unlock()
		seen[value] = true
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(seen)
	}
	live, stop := context.WithCancel(t.Context())
	dying, die := context.WithCancel(t.Context())
	defer die()
	var members sync.WaitGroup
	defer members.Wait()
	defer stop()
	members.Go(func() { (&natsMember{t: t, nc: nc, js: js, name: "n1", got: got}).run(live) })
	members.Go(func() { (&natsMember{t: t, nc: nc, js: js, name: "n2", got: got}).run(dying) })
	con, err := connect(t, addr).CreateConsumer("g", lift.ConsumerID("lift"), lift.AutoOffsetEarliest(), lift.AutoCheckpoint(200*time.Millisecond),
		lift.FetchAssignmentsInterval(func(time.Duration) time.Duration { return 300 * time.Millisecond }))
	if err != nil {
		t.Fatal(err)
	}
	if err := con.Subscribe(live, []string{"s"}, func(m *lift.Message, err error) {
		if err == nil {
			got(string(m.Value()))
		}
	}); err != nil {
		t.Fatal(err)
	}
	const messages = 600
	publish := func(from, to int) {
		for i := from; i < to; i++ {
			m := nats.NewMsg(fmt.Sprintf("s.%d", i))
			m.Header.Set("Weir-Key", fmt.Sprint(i%50))
			m.Data = []byte(fmt.Sprint(i))
			if _, err := js.PublishMsg(deadline(t), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(0, messages/2)
	eventually(t, "some messages are read", func() bool { return count() > messages/4 })
	die()
	publish(messages/2, messages)
	var a groupAnswer
	eventually(t, "everything is read, and the group knows", func() bool {
		a = askGroup(t, nc, "INFO.g", nil)
		lag := uint64(0)
		for _, p := range a.Partitions {
			lag += p.Lag
		}
		return count() == messages && len(a.Members) == 2 && len(a.Partitions) == 4 && lag == 0
	})
	for _, p := range a.Partitions {
		if p.Consumer != "n1" && p.Consumer != "lift" {
			t.Errorf("%s is read by %q", p.Name, p.Consumer)
		}
	}
}

// TestAResetGroupOfLiftbridgesClientsBeginsAnew has a group whose members begin with what is
// new: set back to the beginning, it reads from there all the same.
func TestAResetGroupOfLiftbridgesClientsBeginsAnew(t *testing.T) {
	s, addr, c := start(t, "")
	if err := c.CreateStream(deadline(t), "s", "s"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := c.Publish(deadline(t), "s", []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	nc := s.Connect()
	read := func(id string, want ...string) {
		t.Helper()
		got := make(chan string, 10)
		con, err := connect(t, addr).CreateConsumer("g", lift.ConsumerID(id))
		if err != nil {
			t.Fatal(err)
		}
		if err := con.Subscribe(deadline(t), []string{"s"}, func(m *lift.Message, err error) {
			if err == nil {
				got <- string(m.Value())
			}
		}); err != nil {
			t.Fatal(err)
		}
		for _, v := range want {
			select {
			case g := <-got:
				if g != v {
					t.Errorf("%s reads %s, not %s", id, g, v)
				}
			case <-time.After(patience):
				t.Fatalf("%s does not read %s", id, v)
			}
		}
		if err := con.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, to := range []map[string]any{{"to": "first", "names": []string{"s"}}, {"to": "sequence", "sequence": 1}} {
		if a := askGroup(t, nc, "RESET.g", to); a.Error != nil {
			t.Fatal(a.Error)
		}
		read(fmt.Sprint("after ", to["to"]), "0", "1", "2")
	}
	if a := askGroup(t, nc, "RESET.g", map[string]any{"to": "sequence", "sequence": 3}); a.Error != nil {
		t.Fatal(a.Error)
	}
	read("later", "2")
}
