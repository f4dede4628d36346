package stan_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/stan.go"
	"github.com/weirmq/weir/conformance/harness"
)

// scaledChannels is how many channels a scaled store has. Each has a durable of the client
// app, which took takenOf messages and did not acknowledge some; every tenth a durable queue
// group as well. As many may be unacknowledged: for each that was acknowledged one more was
// sent.
var scaledChannels = 30

const takenOf = 40

// longest is how long an import of so many may take until half of it is there.
const longest = 10 * time.Minute

// pends says whether a message waits for its acknowledgement when the durable is closed.
func pends(channel, seq int) bool {
	return seq <= takenOf && !acked(channel, seq) || seq > takenOf && seq <= takenOf+ackedOf(channel)
}

func acked(channel, seq int) bool { return seq <= 5 || (seq+channel)%3 != 0 }

func ackedOf(channel int) (n int) {
	for seq := 1; seq <= takenOf; seq++ {
		if acked(channel, seq) {
			n++
		}
	}
	return n
}

func scaledName(i int) string { return fmt.Sprintf("scaled.%02d", i) }

// scaledData is some message's data: of some length, and told from all others.
func scaledData(channel, seq int) []byte {
	head := fmt.Appendf(nil, "%d/%d ", channel, seq)
	r := rand.NewPCG(uint64(channel), uint64(seq))
	for range r.Uint64() % 30 {
		head = binary.LittleEndian.AppendUint64(head, r.Uint64())
	}
	return head
}

// fillScaled has the old server store so many messages in each channel, and its durables
// leave some of them unacknowledged.
func fillScaled(t *testing.T, url string, each int) {
	t.Helper()
	p := connect(t, url, "publisher")
	app := connect(t, url, "app")
	for c := range scaledChannels {
		name := scaledName(c)
		p.pour(name, 1, each, func(seq int) []byte { return scaledData(c, seq) })
		subs := []*sub{app.subscribe(name, "", stan.DurableName("d"), stan.DeliverAllAvailable(), stan.MaxInflight(takenOf))}
		if c%10 == 0 {
			subs = append(subs, app.subscribe(name, "q", stan.DurableName("qd"), stan.DeliverAllAvailable(), stan.MaxInflight(takenOf)))
		}
		for _, s := range subs {
			for seq := 1; seq <= takenOf; seq++ {
				m := s.next()
				if m.Sequence != uint64(seq) {
					t.Fatalf("%s: message %d, want %d", name, m.Sequence, seq)
				}
				if acked(c, seq) {
					if err := m.Ack(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	app.leave()
	p.leave()
}

// TestAStoreOfManyChannelsIsMoved fills nats-streaming-server 0.25.6, whose store is on
// disk, and imports: from the running server, then from its directory. Each import is
// killed where half of the channels are there, goes on, and loses weir itself to a kill;
// the last run says that all is there and verified, and applications go on.
// WEIR_IMPORT_MESSAGES=1000000 is the long form, with a hundred channels.
func TestAStoreOfManyChannelsIsMoved(t *testing.T) {
	all := 6000
	if s := os.Getenv("WEIR_IMPORT_MESSAGES"); s != "" {
		var err error
		if all, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
		scaledChannels = 100
	}
	each := all / scaledChannels
	dir := t.TempDir()
	old := startOld(t, "-st", "FILE", "-dir", dir, "-mc", "300")
	begun := time.Now()
	fillScaled(t, old.url, each)
	t.Logf("%d messages in %d channels written in %v", all, scaledChannels, time.Since(begun))
	t.Run("running", func(t *testing.T) {
		moveScaled(t, each, "--from", old.url, "--monitor", old.monitor, "--work", filepath.Join(t.TempDir(), "work"), "--timeout", "60s")
	})
	old.stop()
	t.Run("directory", func(t *testing.T) { moveScaled(t, each, dir) })
}

// moveScaled imports with these arguments into a server of its own, and is killed twice.
func moveScaled(t *testing.T, each int, args ...string) {
	s := start(t, "store_limits { max_channels: 300 }")
	begun := time.Now()
	cut := func(channels int, what string, kill func(*exec.Cmd)) {
		nc := s.Connect()
		defer nc.Close()
		cmd := s.Command(append([]string{"import", "stan", "--json"}, args...)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		look, late := time.NewTicker(10*time.Millisecond), time.After(longest)
		defer look.Stop()
		for len(ended) == 0 && streams(nc) < channels {
			select {
			case <-look.C:
			case <-late:
				_ = cmd.Process.Kill() // the test has failed
				t.Fatalf("it never came true that %s", what)
			}
		}
		kill(cmd)
		if err := <-ended; err == nil {
			t.Fatalf("%s, and the import has ended before:\n%s", what, &errs)
		}
	}
	cut(scaledChannels/2, "half of the channels are there", func(cmd *exec.Cmd) { _ = cmd.Process.Kill() })
	cut(scaledChannels*3/4, "three quarters of the channels are there", func(*exec.Cmd) { again(s, true) })
	got := importStan(t, s, 0, args...)
	if len(got) != scaledChannels {
		t.Fatalf("%d channels", len(got))
	}
	there := 0
	for c := range scaledChannels {
		f := got[scaledName(c)]
		if f.There {
			there++
		}
		durables := 1
		if c%10 == 0 {
			durables = 2
		}
		if !f.Verified || f.Messages != uint64(each) || f.LastSeq != uint64(each) || len(f.Durables) != durables {
			t.Fatalf("%+v", f)
		}
	}
	if there < scaledChannels/2 {
		t.Errorf("%d channels are of an earlier run", there)
	}
	t.Logf("imported, killed twice on the way, in %v", time.Since(begun))
	goOnScaled(t, s, each)
}

// streams counts a server's streams; 0 where it does not answer.
func streams(nc *nats.Conn) int {
	m, err := nc.Request("$JS.API.INFO", nil, time.Second)
	if err != nil {
		return 0
	}
	var info struct{ Streams int }
	if json.Unmarshal(m.Data, &info) != nil {
		return 0
	}
	return info.Streams
}

// goOnScaled has the applications go on: each durable gets what it has not acknowledged,
// then what it was never sent, and nothing that it has acknowledged.
func goOnScaled(t *testing.T, s *harness.Server, each int) {
	app, p := connect(t, s.URL, "app"), connect(t, s.URL, "publisher")
	for c := range scaledChannels {
		name := scaledName(c)
		var subs []*sub
		if c%10 == 0 {
			subs = append(subs, app.subscribe(name, "q", stan.DurableName("qd"), stan.MaxInflight(each+1)))
		}
		subs = append(subs, app.subscribe(name, "", stan.DurableName("d"), stan.MaxInflight(each+1)))
		if err := p.Publish(name, scaledData(c, each+1)); err != nil {
			t.Fatal(err)
		}
		for _, s := range subs {
			for seq := 1; seq <= each+1; seq++ {
				if seq <= takenOf && acked(c, seq) {
					continue
				}
				m := s.next()
				if m.Sequence != uint64(seq) || m.Redelivered != pends(c, seq) || !bytes.Equal(m.Data, scaledData(c, seq)) {
					t.Fatalf("%s: message %d, redelivered %v, %.20q; want %d", name, m.Sequence, m.Redelivered, m.Data, seq)
				}
				if err := m.Ack(); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	js, err := jetstream.New(s.Connect())
	if err != nil {
		t.Fatal(err)
	}
	var wrong []string
	list := js.ListStreams(t.Context())
	for i := range list.Info() {
		if strings.HasPrefix(i.Config.Name, "scaled") && i.State.Msgs != uint64(each)+1 {
			wrong = append(wrong, i.Config.Name)
		}
	}
	if err := list.Err(); err != nil || len(wrong) > 0 {
		t.Errorf("%v, %v", wrong, err)
	}
}
